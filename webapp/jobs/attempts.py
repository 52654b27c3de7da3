"""What a worker does with a job it has: claim it, renew it, and say that it is done. Every write names the attempt."""

from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.contract.events import Event
from webapp.contract.version import RECIPE_VERSION
from webapp.jobs.figures import LiveFigures
from webapp.jobs.history import engine_event, events_add, worth_keeping
from webapp.jobs.limits import may_start
from webapp.jobs.models import ACTIVE, Asked, Job, State
from webapp.jobs.placing import misfit, slots_for
from webapp.jobs.queue import num_running_now, queue_now
from webapp.jobs.transition import transition
from webapp.limits.limits import limits_of_many
from webapp.workers.models import Intent, Worker


class Beat(NamedTuple):
    """What a worker learns when it writes: whether the job is still its own, and what somebody wants of it."""

    is_mine: bool
    asked: Asked


def job_claim(worker: Worker, slot: int = 0, num_free: int | None = None) -> Job | None:
    """The next waiting job this worker can do, now its own; of several workers exactly one gets it.

    `num_free`: its slots that run nothing; None is all. Where it is the turn of a job that takes more of them, nothing
    behind it begins here: it would wait for ever otherwise. Other workers may take it meanwhile.
    """
    worker.refresh_from_db()
    if worker.intent != Intent.ACTIVE:
        return None
    num_running = num_running_now()
    most = {owner: own.running_jobs for owner, own in limits_of_many(num_running).items()}
    for waiting in queue_now():
        if 0 < most.get(waiting.owner_id, 0) <= num_running[waiting.owner_id]:
            # It waits for one of its owner's own, and holds nobody else up.
            continue
        job = Job.objects.filter(id=waiting.id, state=State.QUEUED, recipe_version__lte=RECIPE_VERSION).first()
        if job is None or misfit(job, worker) is not None:
            continue
        if num_free is not None and slots_for(job, worker) > num_free:
            if _may_begin(job):
                return None
        elif _take(job, worker, slot):
            return job
    return None


def _may_begin(job: Job) -> bool:
    """A job that failed lately waits a while before it is its turn again."""
    return job.not_before is None or job.not_before <= database_now()


def _take(job: Job, worker: Worker, slot: int) -> bool:
    now = database_now()
    return transition(
        job,
        State.STARTING,
        actor=f"worker {worker.name}",
        reason=f"{worker.name} took the job.",
        # Asked again in the claim itself: the account may have been disabled since the queue was read.
        guard=(Q(not_before=None) | Q(not_before__lte=now)) & Q(owner__in=User.objects.filter(is_active=True)),
        slot=slot,
        first=lambda: may_start(job),
        attempt=job.attempt + 1,
        worker=worker,
        avoid_worker=None,
        heartbeat_at=now,
        lease_expires_at=now + settings.TIMING.lease_span,
        state_deadline=now + timedelta(seconds=settings.TIMING.start_deadline),
        started_at=job.started_at or now,
        live={},
    )


def job_record(job: Job, events: list[Event], *, first: int | None = None) -> Beat:
    """Store what the engine said and renew the lease. `job` is brought up to date. Raises the database's errors.

    `first`: the number, in the attempt, of the first of these events. Those that an earlier call already stored,
    although its caller saw an error, are passed over.
    """
    job.refresh_from_db(fields=["live"])
    figures = LiveFigures.model_validate(job.live)
    if first is not None:
        events = events[max(0, figures.num_events - first) :]
    worth = worth_keeping(events, figures.phase)
    for event in events:
        figures = figures.after(event)
    now = database_now()
    renewed = {"heartbeat_at": now, "lease_expires_at": now + settings.TIMING.lease_span}
    with transaction.atomic():
        mine = Job.objects.filter(id=job.id, attempt=job.attempt, state__in=ACTIVE)
        if mine.update(live=figures.model_dump(), **renewed) != 1:
            return Beat(is_mine=False, asked=Asked.NOTHING)
        events_add(job.id, job.attempt, [engine_event(event) for event in worth])
        # Before the commit, while the row is ours: a worker that sleeps here must not wake up with another's attempt.
        job.refresh_from_db()
    if job.state == State.STARTING and figures.phase not in ("", "preparing"):
        deadline = now + timedelta(seconds=job.time_limit_seconds + settings.TIMING.finalize_deadline)
        transition(
            job,
            State.RUNNING,
            actor="worker",
            reason="Everything is at hand; the work begins.",
            state_deadline=deadline if job.time_limit_seconds else None,
        )
    return Beat(is_mine=True, asked=Asked(job.asked))


def job_finalize(job: Job) -> bool:
    """The engine is done; its files are about to be kept. False if the job is no longer this worker's, or was
    cancelled a moment before."""
    now = database_now()
    return transition(
        job,
        State.FINALIZING,
        actor="worker",
        reason="Keeping the adapter.",
        guard=~Q(asked=Asked.CANCEL),
        lease_expires_at=now + settings.TIMING.lease_span,
        state_deadline=now + timedelta(seconds=settings.TIMING.finalize_deadline),
    )


def job_renew(job: Job) -> bool:
    """Only the lease, while files are kept. False if the job is no longer this worker's."""
    now = database_now()
    mine = Job.objects.filter(id=job.id, attempt=job.attempt, state__in=ACTIVE)
    return mine.update(heartbeat_at=now, lease_expires_at=now + settings.TIMING.lease_span) == 1
