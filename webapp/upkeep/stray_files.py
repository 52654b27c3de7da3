"""Files that no row speaks of, left by a crash between writing and recording. Removed once they are a day old."""

import logging
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
