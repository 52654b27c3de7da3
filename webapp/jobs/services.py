"""What a person can do with a job: stop it in several ways, let it wait, put it elsewhere in the queue, delete it."""

from typing import Any

from django.db import transaction

from webapp import storage
from webapp.audit.recording import about, settle
from webapp.clock import database_now
from webapp.jobs.checkpoints import (
    NoSuchCheckpoint,
    checkpoint_chosen,
    checkpoint_find,
    checkpoint_word,
    checkpoints_of,
)
from webapp.jobs.models import Asked, Job, JobQuerySet, Priority, State
from webapp.jobs.placing import others_for
from webapp.jobs.transition import BY_PERSON, MOVES, transition
from webapp.workers.models import Worker


class AlreadyOver(Exception):
    """The job ended, or was being saved, before the request arrived."""


class NoOtherWorker(Exception):
    """Nobody else takes jobs just now and can do this one; it stays where it is."""


def job_cancel(job: Job) -> None:
    """End a waiting job at once; ask a running one to stop. Raises AlreadyOver."""
    _at_once_or_ask(job, State.CANCELLED, Asked.CANCEL, "Cancelled.", finished_at=database_now(), live={})


def job_pause(job: Job) -> None:
    """Let a waiting job wait; ask a running one to save a checkpoint and wait. Raises AlreadyOver."""
    _at_once_or_ask(job, State.PAUSED, Asked.PAUSE, "Paused, as asked.")


def job_keep(job: Job) -> None:
    """Ask a running job to stop training now and keep what it has. Raises AlreadyOver."""
    _ask(job, Asked.KEEP)


def job_move_away(job: Job) -> None:
    """Ask a running job to save a checkpoint and go to the queue for another worker.

    Raises NoOtherWorker while there is none that could take it, AlreadyOver.
    """
    if not others_for(job, Worker.objects.online(database_now())):
        raise NoOtherWorker
    _ask(job, Asked.MOVE)


def job_resume(job: Job, *, checkpoint: str = "") -> None:
    """Put a paused job back into the queue. `checkpoint` names the one to go on from, empty the newest.

    Raises AlreadyOver, NoSuchCheckpoint.
    """
    if job.state != State.PAUSED:
        raise AlreadyOver
    if checkpoint and checkpoint_find(job, checkpoint) is None:
        known = ", ".join(checkpoint_word(one) for one in checkpoints_of(job)) or "none"
        raise NoSuchCheckpoint(f"There is no checkpoint “{checkpoint[:60]}” of this job. There are: {known}.")
    moved = transition(
        job,
        State.QUEUED,
        actor=BY_PERSON,
        reason=f"Resumed from {checkpoint}." if checkpoint else "Resumed.",
        resume_from=checkpoint_chosen(job, checkpoint) if checkpoint else job.resume_from,
        avoid_worker=None,
        not_before=None,
        crash_count=0,
    )
    if not moved:
        raise AlreadyOver


def job_priority_set(job: Job, priority: Priority) -> None:
    """Of a job that waits. Raises AlreadyOver where it no longer does."""
    with transaction.atomic():
        if not _waits(job).update(priority=priority):
            raise AlreadyOver
        settle(job)


def job_move_in_queue(job: Job, where: str) -> None:
    """`up`, `down` or `front` among the owner's own waiting jobs of its priority; nobody else's place changes.

    Raises AlreadyOver where the job no longer waits.
    """
    with transaction.atomic():
        own = list(
            Job.objects.select_for_update()
            .filter(owner=job.owner, state=State.QUEUED, priority=job.priority)
            .order_by("queue_rank", "created_at", "id")
        )
        place = next((number for number, one in enumerate(own) if one.id == job.id), None)
        if place is None:
            raise AlreadyOver
        to = {"up": max(place - 1, 0), "down": min(place + 1, len(own) - 1), "front": 0}[where]
        own.insert(to, own.pop(place))
        ranks = _strictly_rising(sorted(one.queue_rank for one in own))
        for one, rank in zip(own, ranks, strict=True):
            Job.objects.filter(id=one.id).update(queue_rank=rank)
        settle(job)


def job_delete(job: Job) -> None:
    """Remove an ended job and its files."""
    assert job.is_over
    folder = storage.job_dir(job.id)
    with transaction.atomic():
        about(job)
        job.delete()
        settle()
    storage.folder_delete(folder)


def _at_once_or_ask(job: Job, to: State, what: Asked, reason: str, **fields: Any) -> None:
    """A worker may take the job or give it back while we look; then we look again. Raises AlreadyOver."""
    while job.state != to:
        if to in MOVES[State(job.state)] and not job.is_active:
            if transition(job, to, actor=BY_PERSON, reason=reason, **fields):
                return
        elif _asked(job, what):
            return
        seen = (job.state, job.attempt)
        job.refresh_from_db()
        if (job.state, job.attempt) == seen:
            raise AlreadyOver
    if job.is_over:
        raise AlreadyOver


def _ask(job: Job, what: Asked) -> None:
    """Raises AlreadyOver where the job is over or being saved: its adapter is there in a moment."""
    if not _asked(job, what):
        raise AlreadyOver


def _asked(job: Job, what: Asked) -> bool:
    """Leave word for the worker. A cancel stands whatever is asked after it."""
    stoppable = Job.objects.filter(id=job.id, state__in=(State.STARTING, State.RUNNING))
    if what != Asked.CANCEL:
        stoppable = stoppable.exclude(asked=Asked.CANCEL)
    with transaction.atomic():
        if stoppable.update(asked=what, asked_at=database_now()) != 1:
            return False
        settle(job)
    return True


def _waits(job: Job) -> JobQuerySet:
    return Job.objects.filter(id=job.id, state__in=(State.QUEUED, State.PAUSED))


def _strictly_rising(ranks: list[int]) -> list[int]:
    """Two jobs asked for in the same microsecond would otherwise never change places."""
    for place in range(1, len(ranks)):
        ranks[place] = max(ranks[place], ranks[place - 1] + 1)
    return ranks
