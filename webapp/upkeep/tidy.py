"""What need not be kept: files that no row speaks of, checkpoints past their use, old errands, SQLite's own log."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection
from django.db.models import Q

from webapp import storage
from webapp.accounts.throttle import allowances_forget
from webapp.base_models.leftovers import hub_leftovers_remove
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.job_dir import CHECKPOINTS
from webapp.datasets.reading.start import old_readings_remove
from webapp.datasets.services import refused_uploads_forget
from webapp.errands.services import errands_forget
from webapp.jobs.models import ACTIVE, Job
from webapp.upkeep.stray_files import part_files_remove, stray_files_collect

KEPT_AFTER_THE_END = timedelta(days=30)
"""For so long an ended job can be gone on with from a checkpoint."""
ATTEMPTS_KEPT = 2
"""Each attempt begins with the checkpoint it goes on from, so older attempts hold nothing that is needed; the one
before is kept in case a file is damaged."""


def tidy(now: datetime) -> None:
    """Doing it twice at once does no harm: what is gone is gone."""
    part_files_remove()
    stray_files_collect()
    hub_leftovers_remove()
    old_checkpoints_remove(now)
    job_bytes_measure()
    errands_forget(now)
    refused_uploads_forget(now)
    old_readings_remove(now)
    allowances_forget(now)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def old_checkpoints_remove(now: datetime) -> list[Path]:
    """Returns the folders of checkpoints that were removed."""
    ended = Job.objects.filter(finished_at__lt=now - KEPT_AFTER_THE_END)
    going_on = Job.objects.filter(finished_at=None, attempt__gt=ATTEMPTS_KEPT)
    old = [folder for job in ended.iterator() for folder in _with_checkpoints(job)]
    old += [folder for job in going_on.iterator() for folder in _with_checkpoints(job)[ATTEMPTS_KEPT:]]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    # Measured again by `job_bytes_measure`.
    Job.objects.filter(id__in={folder.parents[1].name for folder in old}).update(stored_bytes=None)
    return old


def job_bytes_measure() -> None:
    """Of jobs whose folder may have grown or shrunk since: those that run, and those that lost their checkpoints."""
    for job in Job.objects.filter(Q(stored_bytes=None) | Q(state__in=ACTIVE)).only("id").iterator():
        Job.objects.filter(id=job.id).update(stored_bytes=storage.folder_bytes(storage.job_dir(job.id)))


def _with_checkpoints(job: Job) -> list[Path]:
    """The attempts' folders of checkpoints, the newest attempt's first; those a person chose to go on from stay."""
    chosen = int(job.resume_from.partition("/")[0]) if job.resume_from else None
    attempts = [number for number in range(job.attempt, -1, -1) if number != chosen]
    folders = [storage.attempt_dir(job.id, number) for number in attempts]
    return [folder / CHECKPOINTS for folder in folders if checkpoints_in(folder)]
