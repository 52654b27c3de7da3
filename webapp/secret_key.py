"""The key that signs sessions and forms: from the environment, or from a file that is made on first use.

The file holds one key a line, the newest first. The newest signs; what the others signed is still believed, so that a
rotation signs nobody out.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

VARIABLE, FALLBACKS_VARIABLE = "GRAFTWORK_SECRET_KEY", "GRAFTWORK_SECRET_KEY_FALLBACKS"

_LEAST_LENGTH = 50
_LEAST_DIFFERENT = 10
_PLACEHOLDERS = (
    "changeme", "change-me", "change_me", "insecure", "placeholder", "your-secret", "your_secret", "secret-key",
    "secret_key",
)  # fmt: skip


def secret_keys(file: Path) -> list[str]:
    """The newest first. Raises ImproperlyConfigured for a key that could be guessed: whoever has it is any user."""
    if VARIABLE in os.environ:
        fallbacks = [key.strip() for key in os.environ.get(FALLBACKS_VARIABLE, "").split(",") if key.strip()]
        sources = [(VARIABLE, os.environ[VARIABLE]), *((FALLBACKS_VARIABLE, key) for key in fallbacks)]
    else:
        sources = [(str(file), key) for key in _read_or_make(file)]
    for source, key in sources:
        if reason := _weakness(key):
            raise ImproperlyConfigured(
                f"The key in {source} could be guessed: {reason}. Make one with "
                "python -c 'import secrets; print(secrets.token_urlsafe(64))'"
            )
    return [key for _source, key in sources]


def key_add(file: Path) -> None:
    """A new key, which signs from now on; the older ones are still believed."""
    _write(file, [new_key(), *_read_or_make(file)])


def keys_forget_old(file: Path) -> int:
    """Only the newest stays. Returns how many are gone."""
    keys = _read_or_make(file)
    _write(file, keys[:1])
    return len(keys) - 1


def new_key() -> str:
    return secrets.token_urlsafe(64)


def _weakness(key: str) -> str:
    """Why a key is no good; empty for a good one."""
    if len(key) < _LEAST_LENGTH:
        return f"it has {len(key)} characters, and at least {_LEAST_LENGTH} are needed"
    if len(set(key)) < _LEAST_DIFFERENT:
        return f"it has only {len(set(key))} different characters"
    found = next((word for word in _PLACEHOLDERS if word in key.lower()), None)
    return f"“{found}” in it says that it is a placeholder" if found else ""


def _read_or_make(file: Path) -> list[str]:
    """Of two makers at once the first one counts."""
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = _part(file, [new_key()])
            with suppress(FileExistsError):
                file.hardlink_to(part)
            part.unlink()
        return file.read_text().split() or [""]
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {file.parent} cannot be written ({error.strerror}). "
            "Give another one: GRAFTWORK_HOME=/some/folder."
        ) from error


def _write(file: Path, keys: list[str]) -> None:
    _part(file, keys).replace(file)


def _part(file: Path, keys: list[str]) -> Path:
    """A file beside it, on the disk as a whole; `mkstemp` makes it readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}-")
    with os.fdopen(descriptor, "w") as part:
        part.write("\n".join(keys) + "\n")
        part.flush()
        os.fsync(part.fileno())
    return Path(name)
