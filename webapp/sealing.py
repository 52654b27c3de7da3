"""Seals secrets that lie in the database. The keys lie in a file of their own: neither a copy of the database nor the
secret key of the web pages opens what is sealed."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.db.models import QuerySet

from webapp import storage


class CannotOpen(Exception):
    """The key it was sealed with is gone, or it was altered."""


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises CannotOpen."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise CannotOpen from error


def rows_reseal(rows: QuerySet[Any], field: str) -> tuple[int, int]:
    """With the newest key, inside the caller's transaction. How many were sealed, and how many cannot be opened."""
    sealed = lost = 0
    for row in rows.select_for_update():
        try:
            setattr(row, field, _box().rotate(getattr(row, field).encode()).decode())
        except InvalidToken:
            lost += 1
            continue
        row.save(update_fields=[field])
        sealed += 1
    return sealed, lost


def key_add() -> None:
    """A new key, which seals from now on; the older ones still open."""
    _write([Fernet.generate_key().decode(), *_keys()])


def keys_forget_old() -> None:
    """Only the newest stays. What was not sealed anew is lost."""
    _write(_keys()[:1])


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in _keys()])


def _keys() -> list[str]:
    """The newest first. Made on first use; of two makers at once the first one counts."""
    path = storage.hub_token_keys_path()
    if not path.exists():
        with _part(path, [Fernet.generate_key().decode()]) as part, contextlib.suppress(FileExistsError):
            path.hardlink_to(part)
        storage.folder_show(path.parent)
    return path.read_text().split()


def _write(keys: list[str]) -> None:
    path = storage.hub_token_keys_path()
    with _part(path, keys) as part:
        part.replace(path)
    storage.folder_show(path.parent)


@contextlib.contextmanager
def _part(path: Path, keys: list[str]) -> Iterator[Path]:
    """A file beside the path, readable by its owner alone and on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(keys) + "\n")
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)
