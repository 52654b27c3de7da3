"""A job's checkpoints, found where its attempts left them, and which one the next attempt goes on from."""

import os
from collections.abc import Callable
from pathlib import Path

from webapp import storage
from webapp.contract.checkpoint import Checkpoint, checkpoint_problem, checkpoints_in
from webapp.contract.events import CheckpointRefused
from webapp.contract.job_dir import CHECKPOINTS
from webapp.jobs.models import Job

SEEDS = 0
"""The attempt number under which a job finds what it inherits from the job it was made from."""


class NoSuchCheckpoint(Exception):
    """The checkpoint is gone or damaged; the message says what to do."""


def checkpoints_of(job: Job) -> list[Checkpoint]:
    """Of all attempts, the newest attempt's newest first. Checksums are not looked at."""
    numbers = range(job.attempt, SEEDS - 1, -1)
    return [one for number in numbers for one in checkpoints_in(storage.attempt_dir(job.id, number))]


def checkpoint_word(checkpoint: Checkpoint) -> str:
    """ "ATTEMPT/step-NNNNNNNN": how a checkpoint is named in forms."""
    return f"{checkpoint.folder.parent.parent.name}/{checkpoint.folder.name}"


def checkpoint_find(job: Job, word: str) -> Checkpoint | None:
    return next((one for one in checkpoints_of(job) if checkpoint_word(one) == word), None)


def checkpoint_chosen(job: Job, word: str) -> str:
    """What `Job.resume_from` says: which one, and after how many attempts it was chosen."""
    return f"{word}@{job.attempt}"


def newest_step(job: Job) -> int:
    """Of the newest attempt that has a checkpoint; 0 without one."""
    return next((one.manifest.step for one in checkpoints_of(job)), 0)


def checkpoint_to_resume(job: Job, tell: Callable[[CheckpointRefused], None] | None = None) -> Checkpoint | None:
    """The newest that verifies. Where a person chose one, that, or what attempts after it have made since.

    `tell` hears of each newer one that is damaged.
    """
    found = checkpoints_of(job)
    if job.resume_from:
        word, _at, attempt = job.resume_from.partition("@")
        found = [one for one in found if _attempt_of(one) > int(attempt) or checkpoint_word(one) == word]
    for one in found:
        problem = checkpoint_problem(one)
        if problem is None:
            return one
        if tell is not None:
            tell(CheckpointRefused(step=one.manifest.step, reason=problem))
    return None


def checkpoint_link(checkpoint: Checkpoint, attempt_dir: Path) -> None:
    """Give another attempt this checkpoint: the same bytes under a second name, since checkpoints never change."""
    target = attempt_dir / CHECKPOINTS / checkpoint.folder.name
    part = target.with_name(f"{target.name}.partial")
    part.mkdir(parents=True)
    for path in checkpoint.folder.iterdir():
        os.link(path, part / path.name)
    part.rename(target)


def _attempt_of(checkpoint: Checkpoint) -> int:
    return int(checkpoint.folder.parent.parent.name)
