"""Jobs that nobody holds any more: expired leases and overdue states. Every action is guarded by itself, so two
sweeps at once, or one that slept, do nothing twice."""

from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Coalesce

from webapp.jobs.endings import Ending, job_crashed, job_fail
from webapp.jobs.models import Job, Outcome, State

VANISHED = Ending("worker_lost", "The worker vanished while it ran this job.", outcome=Outcome.LOST)
_OVERDUE = {
    State.STARTING: Ending("stalled", "Getting ready took too long.", outcome=Outcome.LOST),
    State.FINALIZING: Ending("stalled", "Keeping the adapter took too long.", outcome=Outcome.LOST),
}
_TIME_IS_UP = Ending("time_limit", "The job ran for as long as it was allowed to.", outcome=Outcome.LOST)


def leases_expire(now: datetime) -> int:
    """Jobs whose worker went silent go to another. Also those of an older version, which knew no leases.

    `now` by the database's clock. Returns how many were moved.
    """
    silent_since = Coalesce("lease_expires_at", "heartbeat_at", "started_at", "created_at")
    lost = Job.objects.active().alias(silent_since=silent_since).filter(silent_since__lt=now)
    return sum(job_crashed(job, VANISHED, actor="reconciler", guard=_unchanged(job)) for job in lost)


def deadlines_pass(now: datetime) -> int:
    """No active state lasts for ever, even if its worker still renews. Returns how many were moved."""
    return sum(_end_overdue(job) for job in Job.objects.active().filter(state_deadline__lt=now))


def _end_overdue(job: Job) -> bool:
    ending = _OVERDUE.get(State(job.state))
    if ending is None:
        return job_fail(job, _TIME_IS_UP, actor="reconciler", guard=_unchanged(job))
    return job_crashed(job, ending, actor="reconciler", guard=_unchanged(job))


def _unchanged(job: Job) -> Q:
    """A renewal since we looked means that the worker lives after all."""
    return Q(lease_expires_at=job.lease_expires_at, state_deadline=job.state_deadline)
