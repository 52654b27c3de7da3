"""Files that no row speaks of, left by a crash between writing and recording. Removed once they are a day old; what
was still being written, once nothing was written to it for an hour."""

import logging
import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from webapp import storage
from webapp.adapters.models import AdapterVersion
from webapp.datasets.models import DatasetVersion, Upload
from webapp.errands.models import Errand
from webapp.jobs.models import Job

log = logging.getLogger(__name__)

OLD_SECONDS = 24 * 3600.0
"""Far longer than any write between file and row takes, so nothing that is on its way is touched."""

UNFINISHED_SECONDS = 3600.0
"""Nobody writes so slowly: what arrives has a least rate, and what reads it ends within minutes."""
_PART_FILES = ("uploads/*.part", "datasets/*/*.part", "jobs/*/*.part", "incoming/*")


def part_files_remove() -> list[Path]:
    """Remove what was never written to its end; returns what was removed."""
    old = time.time() - UNFINISHED_SECONDS
    data_dir = storage.uploads_dir().parent
    parts = [path for pattern in _PART_FILES for path in data_dir.glob(pattern) if _written_at(path) < old]
    for path in parts:
        log.warning("%s was never written to its end; it is removed", path)
        storage.folder_delete(path)
    return parts


def _written_at(path: Path) -> float:
    """Later than anything for a file that has just been given its name or removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def stray_files_collect() -> list[Path]:
    """Remove them; returns what was removed."""
    known: dict[Path, QuerySet[Any]] = {
        storage.jobs_dir(): Job.objects.all(),
        storage.adapters_dir(): AdapterVersion.objects.all(),
        storage.datasets_dir(): DatasetVersion.objects.all(),
        storage.uploads_dir(): Upload.objects.all(),
        storage.errands_dir(): Errand.objects.moving(),
    }
    strays = [
        path for folder, rows in known.items() for path in _strays(folder, set(rows.values_list("id", flat=True)))
    ]
    for path in strays:
        log.warning("no row speaks of %s; it is removed", path)
        storage.folder_delete(path)
    return strays


def _strays(folder: Path, known: Collection[UUID]) -> list[Path]:
    if not folder.is_dir():
        return []
    old = time.time() - OLD_SECONDS
    return [path for path in folder.iterdir() if _id_of(path) not in known and path.stat().st_mtime < old]


def _id_of(path: Path) -> UUID | None:
    try:
        return UUID(path.name.split(".")[0])
    except ValueError:
        return None
