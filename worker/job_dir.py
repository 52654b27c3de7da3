"""Lays out what the engine is run on: an attempt's own folder with everything the job needs, and the
checkpoint it goes on from, if an earlier attempt left one that verifies."""

import os
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from webapp import storage
from webapp.contract.events import CheckpointRefused
from webapp.contract.job_dir import BASE_MODEL, FACTS, OPTIONS, RECIPE, ROWS, START_ADAPTER, Facts, Options
from webapp.jobs.checkpoints import checkpoint_link, checkpoint_to_resume
from webapp.jobs.lineage import continues_words
from webapp.jobs.models import Job
from webapp.jobs.split_rows import rows_are_whole


class RowsDamaged(Exception):
    """The job's rows are no longer those it was accepted with."""


def job_dir_lay_out(job: Job, tell: Callable[[CheckpointRefused], None]) -> Path:
    """The folder of the job's present attempt, ready for the engine; `tell` hears of damaged checkpoints.

    Raises RowsDamaged.
    """
    rows = storage.job_rows_path(job.id)
    if not rows_are_whole(rows, job.rows_sha256):
        raise RowsDamaged(f"The sha256 of {rows.name} is not {job.rows_sha256}.")
    folder = job.attempt_dir
    folder.mkdir(parents=True)
    (folder / RECIPE).write_text(job.recipe.model_dump_json(indent=2))
    (folder / FACTS).write_text(_facts(job).model_dump_json(indent=2))
    options = Options(
        checkpoint_seconds=settings.TIMING.checkpoint,
        micro_batch_divisor=job.micro_batch_divisor,
        num_processes=job.num_processes,
    )
    (folder / OPTIONS).write_text(options.model_dump_json(indent=2))
    if (checkpoint := checkpoint_to_resume(job, tell)) is not None:
        checkpoint_link(checkpoint, folder)
    os.link(rows, folder / ROWS)
    (folder / BASE_MODEL).symlink_to(job.base_model.path)
    if job.recipe.start_adapter is not None:
        # Whether it is whole, the engine sees before it trains on from it.
        (folder / START_ADAPTER).symlink_to(storage.job_start_dir(job.id))
    # The checkpoints that the engine brings to the disk lie in here: after a power cut they must be found.
    storage.folder_show(folder)
    return folder


def _facts(job: Job) -> Facts:
    return Facts(
        name=job.name,
        base_model_title=job.base_model.title,
        base_model_reference=job.base_model.reference,
        base_model_licence=job.base_model.licence_words,
        dataset_name=str(job.dataset_version),
        split_sha256=job.split_sha256,
        continues=continues_words(job),
    )
