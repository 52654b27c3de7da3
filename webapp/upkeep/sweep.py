"""One look over everything, by whoever's turn it is: the reconciler that the promises rest on."""

from datetime import datetime, timedelta

from django.db import connection

from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.jobs.models import Job
from webapp.jobs.reconcile import deadlines_pass, leases_expire
from webapp.upkeep.leader import is_quiet, turn_note, turn_take
from webapp.upkeep.stray_files import stray_files_collect

WAKE_EVERY = timedelta(seconds=30)
COLLECT_EVERY = timedelta(hours=1)


class Sweeper:
    """`holder` names this process among all that could sweep."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._last: dict[str, datetime] = {}

    def sweep(self) -> bool:
        """False if it is another's turn. Raises the database's errors."""
        now = database_now()
        if not turn_take(self.holder, now):
            return False
        if not is_quiet(now):
            leases_expire(now)
            deadlines_pass(now)
        turn_note(now)
        if self._is_time("wake", now, WAKE_EVERY) and Job.objects.waiting().exists():
            wake_workers()
        if self._is_time("collect", now, COLLECT_EVERY):
            stray_files_collect()
            _log_shorten()
        return True

    def _is_time(self, what: str, now: datetime, every: timedelta) -> bool:
        """By this process's own account; doing it once too often does no harm."""
        last = self._last.get(what)
        if last is not None and now - last < every:
            return False
        self._last[what] = now
        return True


def _log_shorten() -> None:
    """SQLite's write-ahead log grows while readers stay; this writes it back whole."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
