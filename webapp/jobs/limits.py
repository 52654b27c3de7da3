"""A person's limits on jobs: how many run at once, how many wait, and how much lies in their folders."""

from django.db.models import Sum

from webapp.accounts.models import User
from webapp.jobs.models import Job, State
from webapp.limits.limits import LimitReached, Limits, limits_of, person_lock
from webapp.limits.stored import check_room

RETRY_SECONDS = 60
"""After which one may look again whether a place in the queue is free."""


def num_waiting_of(user_id: int) -> int:
    """Paused jobs count: they come back into the queue without being asked again."""
    return Job.objects.filter(owner_id=user_id, state__in=(State.QUEUED, State.PAUSED)).count()


def num_running_of(user_id: int) -> int:
    return Job.objects.active().filter(owner_id=user_id).count()


def check_queue(owner: User, limits: Limits) -> None:
    """Raises LimitReached if another job of this person would be refused now."""
    most = limits.queued_jobs
    if most and num_waiting_of(owner.id) >= most:
        raise LimitReached(
            "queued_jobs",
            f"{most} job{'s' if most > 1 else ''} of {owner} wait already, the most one person may have in the queue. "
            "Start this one when one of them has begun, or cancel one that is no longer needed.",
            retry_seconds=RETRY_SECONDS,
        )
    check_room(owner, 1, limits)


def take_place_in_queue(job: Job, limits: Limits) -> None:
    """Call in the transaction that adds the job: of two at once the second sees the first. Raises LimitReached.

    `limits` are read before it: each statement less in a transaction is one less that can fail.
    """
    if limits.queued_jobs or limits.stored_bytes:
        person_lock(job.owner_id)
    check_queue(job.owner, limits)
    check_room(job.owner, job.stored_bytes or 0, limits)


def may_start(job: Job) -> bool:
    """Whether its owner may run one more job. Call in the transaction that starts it: two workers at once must not
    both start the last one that is allowed."""
    most = limits_of(job.owner_id).running_jobs
    if not most:
        return True
    person_lock(job.owner_id)
    return num_running_of(job.owner_id) < most


def bytes_of_jobs(user_id: int) -> int:
    return Job.objects.filter(owner_id=user_id).aggregate(total=Sum("stored_bytes"))["total"] or 0
