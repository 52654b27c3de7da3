"""Gives a folder that was filled aside its name, so that after a power cut it is there as a whole or not at all."""

import os
from pathlib import Path


def folder_settle(aside: Path, folder: Path) -> None:
    """Both lie beside each other."""
    for path in [*aside.iterdir(), aside]:
        _sync(path)
    aside.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
