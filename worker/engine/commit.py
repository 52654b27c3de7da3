"""A folder that is whole or not there: filled aside, brought to the disk file by file, then shown by a rename.

Nothing here catches an error of writing to go on: either the folder is shown, or the error flies.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webapp.contract.job_dir import FileEntry
from worker.engine.errors import TrainingError

PARTIAL = ".partial"


@contextmanager
def written_aside(final: Path) -> Iterator[Path]:
    """A folder to fill; its name becomes `final` when the block ends well, and it is gone when it does not."""
    partial = final.with_name(final.name + PARTIAL)
    remove_tree(partial)
    try:
        partial.mkdir()
        yield partial
        for path in [*partial.iterdir(), partial]:
            sync(path)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(final.parent)


def retire(folder: Path) -> None:
    """Take a folder out of sight in one move, then delete it: a crash in between leaves no half of it in its place."""
    aside = folder.with_name(f"{folder.name}.old{PARTIAL}")
    remove_tree(aside)
    folder.rename(aside)
    sync(folder.parent)
    remove_tree(aside)


def remove_leftovers(folder: Path) -> None:
    """What a crash left half-written or half-deleted."""
    for path in folder.glob("*" + PARTIAL):
        remove_tree(path)


def remove_tree(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def entries_of(folder: Path) -> tuple[FileEntry, ...]:
    """Every file with its size and checksum, for a manifest."""
    return tuple(
        FileEntry(name=path.name, size_bytes=path.stat().st_size, sha256=sha256(path))
        for path in sorted(folder.iterdir())
    )


def need_space(folder: Path, size_bytes: int, *, min_free_bytes: int, what: str) -> None:
    """Raises TrainingError where the disk of `folder` has no room for `what`, twice its size to be safe."""
    needed, free = max(min_free_bytes, 2 * size_bytes), shutil.disk_usage(folder).free
    if free < needed:
        message = (
            f"The disk has {free / 1e6:,.0f} MB free, and {needed / 1e6:,.0f} MB are needed before {what} is written. "
            "Delete old jobs or adapters, or ask an admin for more space; then start the job again."
        )
        raise TrainingError("storage_full", message, evidence=f"{free} bytes free, {needed} needed")


def write_file(path: Path, text: str) -> None:
    """One file that is whole or not there, as the folders are."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        partial.write_text(text, "utf-8")
        sync(partial)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Raises OSError where the disk did not take it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
