"""Names people give: shown as they are meant, without what could deceive or break a line."""

import unicodedata
from pathlib import PurePath

MAX_FILE_NAME = 200
MAX_DATASET_NAME = 100
_MAX_RAW_CHARS = 2000


def name_cleaned(name: str) -> str:
    """One line, without control characters and without marks that turn the direction of reading."""
    visible = "".join(" " if letter.isspace() else letter for letter in unicodedata.normalize("NFC", name))
    kept = "".join(letter for letter in visible if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return " ".join(kept.split())


def file_name_cleaned(name: str) -> str:
    """The last part of a path of any system, with its suffix kept where the name has to be cut."""
    # Cut before it is cleaned: normalising takes time with the square of the combining marks.
    last = name_cleaned(name.replace("\\", "/").rsplit("/", 1)[-1][-_MAX_RAW_CHARS:]).strip(". ")
    suffix = PurePath(last).suffix
    stem = last.removesuffix(suffix) if suffix and len(suffix) <= 20 else last
    kept_suffix = last[len(stem) :]
    return (stem[: MAX_FILE_NAME - len(kept_suffix)] + kept_suffix) or "file"


def dataset_name_from(file_name: str) -> str:
    """`support_tickets-2026.csv` -> "support tickets 2026"."""
    words = PurePath(file_name).stem.replace("_", " ").replace("-", " ")
    return " ".join(words.split())[:MAX_DATASET_NAME].strip() or "Dataset"
