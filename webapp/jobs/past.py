"""A job's checkpoints and attempts, as its page shows them."""

import signal
from datetime import UTC, datetime
from typing import NamedTuple

from webapp.contract.checkpoint import Checkpoint
from webapp.jobs.checkpoints import checkpoint_word, checkpoints_of
from webapp.jobs.models import Job, JobAttempt, Outcome, State


class CheckpointLine(NamedTuple):
    """`word` names it to the services; `verb` is what one can do with it: resume, retry, or nothing just now."""

    word: str
    checkpoint: Checkpoint
    made_at: datetime
    is_best: bool
    verb: str


class AttemptLine(NamedTuple):
    """`signal` is the name of what ended the training process from outside, where that was so."""

    attempt: JobAttempt
    signal: str


def checkpoint_lines(job: Job) -> list[CheckpointLine]:
    """The newest first, each once: an attempt that goes on from one has it under its own name as well."""
    verb = "resume" if job.state == State.PAUSED else "retry" if job.is_over else ""
    found = checkpoints_of(job)
    best_step = found[0].manifest.best_step if found else None
    once: dict[tuple[int, float], Checkpoint] = {}
    for one in found:
        once.setdefault((one.manifest.step, one.manifest.made_at), one)
    return [
        CheckpointLine(
            word=checkpoint_word(one),
            checkpoint=one,
            made_at=datetime.fromtimestamp(one.manifest.made_at, UTC),
            is_best=one.manifest.step == best_step,
            verb=verb,
        )
        for one in once.values()
    ]


def attempt_lines(job: Job) -> list[AttemptLine]:
    """The newest first; empty where there is nothing to tell: one attempt that goes or went well."""
    attempts = list(job.attempts.select_related("worker").order_by("-number"))
    if len(attempts) == 1 and attempts[0].outcome in (Outcome.RUNNING, Outcome.SUCCEEDED):
        return []
    return [AttemptLine(attempt, _signal_name(attempt.exit_code)) for attempt in attempts]


def _signal_name(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
