"""One look over everything, by whoever's turn it is: the reconciler that the promises rest on."""

from datetime import UTC, datetime, timedelta

from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.jobs.models import Job
from webapp.jobs.reconcile import deadlines_pass, leases_expire
from webapp.upkeep.leader import is_quiet, turn_note, turn_take

WAKE_EVERY = timedelta(seconds=30)


class Sweeper:
    """`holder` names this process among all that could sweep."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._swept_at: datetime | None = None
        self._woken_at = datetime.min.replace(tzinfo=UTC)

    def sweep(self) -> bool:
        """False if it is another's turn. Raises the database's errors."""
        now = database_now()
        if not turn_take(self.holder, now):
            return False
        if not is_quiet(now):
            leases_expire(now)
            deadlines_pass(now)
        turn_note(now)
        if self._has_become_due(now) or self._waits_for_long(now):
            wake_workers()
        return True

    def _has_become_due(self, now: datetime) -> bool:
        """A job whose pause after a crash is over since the last sweep: nobody else rings for it."""
        since, self._swept_at = self._swept_at or now, now
        return Job.objects.waiting().filter(not_before__gt=since, not_before__lte=now).exists()

    def _waits_for_long(self, now: datetime) -> bool:
        """Now and then, in case a wake-up was lost. By this process's own account: once too often does no harm."""
        if now - self._woken_at < WAKE_EVERY:
            return False
        self._woken_at = now
        return Job.objects.waiting().exists()
