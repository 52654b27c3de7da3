"""Column names: cleaned, and refused where one cannot tell them apart."""

import unicodedata

from webapp.datasets.readers.record import FileRefused, refusal

MAX_COLUMNS = 1000
MAX_NAME_CHARS = 200
_MAX_RAW_CHARS = 10 * MAX_NAME_CHARS
"""Longer ones are refused before they are normalised, which takes time with the square of the combining marks."""


def columns_checked(names: list[str], line: int) -> list[str]:
    """Names without the spaces and invisible characters around them. Raises FileRefused."""
    if len(names) > MAX_COLUMNS:
        raise too_many_columns(len(names), line)
    cleaned: list[str] = []
    seen: dict[str, str] = {}
    for position, raw in enumerate(names, start=1):
        name = name_checked(raw, position, line)
        key = name.casefold()
        if key in seen:
            raise duplicate_column(seen[key], name, line)
        seen[key] = name
        cleaned.append(name)
    return cleaned


def name_checked(raw: str, position: int, line: int) -> str:
    if len(raw) > _MAX_RAW_CHARS:
        raise _name_too_long(len(raw), position, line)
    name = "".join(letter for letter in unicodedata.normalize("NFC", raw) if unicodedata.category(letter) != "Cf")
    name = " ".join(name.split())
    if not name:
        raise refusal(
            "column_name",
            f"Column {position} has no name.",
            "Name it, or leave the column out (pandas: to_csv(index=False)).",
            line=line,
        )
    if len(name) > MAX_NAME_CHARS:
        raise _name_too_long(len(name), position, line)
    return name


def _name_too_long(length: int, position: int, line: int) -> FileRefused:
    message = f"The name of column {position} is {length:,} characters long; {MAX_NAME_CHARS} are allowed."
    hint = "The first line must hold short column names. If it is a row already, put a line of names above it."
    return refusal("column_name", message, hint, line=line)


def too_many_columns(count: int, line: int) -> FileRefused:
    message = f"There are {count:,} columns; {MAX_COLUMNS:,} are allowed."
    return refusal("too_many_columns", message, "Keep only the columns with the input and the output.", line=line)


def duplicate_column(first: str, second: str, line: int) -> FileRefused:
    same = f"Two columns are called “{first}”" if first == second else f"“{first}” and “{second}” are the same name"
    return refusal("duplicate_column", f"{same}.", "Rename one of them, or leave it out.", line=line, column=second)
