"""How full the data folder is."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from webapp.storage import folder_bytes

_KEEP_SECONDS = 60


class StorageUsed(NamedTuple):
    """Bytes that lie in the data folder, and bytes its disk has left."""

    used_bytes: int
    free_bytes: int


_last: dict[Path, tuple[float, StorageUsed]] = {}


def storage_used(folder: Path) -> StorageUsed:
    """Counted at most once a minute: walking a folder of many jobs takes longer than a page may."""
    kept = _last.get(folder)
    if kept and time.monotonic() - kept[0] < _KEEP_SECONDS:
        return kept[1]
    figures = StorageUsed(folder_bytes(folder), shutil.disk_usage(folder).free)
    _last[folder] = (time.monotonic(), figures)
    return figures
