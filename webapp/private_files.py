"""Nothing in the data folder is for other users of the machine: session keys and people's rows lie there.

The settings call `keep_private` first, so every process passes here, and its children inherit the umask.
"""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

OTHERS = stat.S_IRWXG | stat.S_IRWXO

_SECRET = ("graftwork.sqlite3", "graftwork.sqlite3-wal", "graftwork.sqlite3-shm", "secret_key", "hub_token_keys")
_REST = (
    "installation", "audit_record", "worker_keys", "adapters", "base_models", "compiled", "datasets", "errands",
    "incoming", "jobs", "logs", "run", "uploads", "valkey",
)  # fmt: skip
"""By name, as the data folder may be one that holds other things of the person's, which stay as they are."""

log = logging.getLogger(__name__)


def keep_private(data_dir: Path) -> None:
    """What is written from now on is the owner's alone, and so is what an older version left in the folder."""
    os.umask(OTHERS)
    try:
        mode = data_dir.stat().st_mode
        if mode & stat.S_ISVTX:
            raise ImproperlyConfigured(
                f"The data folder {data_dir} is one that all users of the machine write into. "
                "Give a folder of its own: GRAFTWORK_HOME=/some/folder."
            )
        _tighten_data_dir(data_dir, mode)
    except (FileNotFoundError, NotADirectoryError):
        # Whoever needs it makes it, or says why that fails.
        return
    except OSError as error:
        # As on a share that knows no modes, or where a worker runs as another user: it is the owner's to decide.
        log.warning("The data folder cannot be made private (%s): other users may read what is in it.", error)


def _tighten_data_dir(data_dir: Path, mode: int) -> None:
    for name in _SECRET:
        _tighten(data_dir / name)
    if mode & OTHERS:
        for name in _REST:
            _tighten_all(data_dir / name)
        # Last, so that a start that was cut off in between begins again.
        _tighten(data_dir)


def _tighten_all(path: Path) -> None:
    _tighten(path)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            _tighten(Path(folder, name))


def _tighten(path: Path) -> None:
    """Links are left alone: what they lead to may be somebody else's."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)
