"""Which limits hold for a person, and the refusal of what would exceed one."""

from collections.abc import Collection
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from webapp.accounts.models import User
from webapp.celery import wake_workers
from webapp.limits.models import InstallationLimits, LimitValues, PersonLimits


class Limits(NamedTuple):
    """0 is no limit."""

    running_jobs: int
    queued_jobs: int
    stored_bytes: int
    uploads_per_minute: int


class LimitReached(Exception):
    """The answer is 429, see `webapp.too_many_requests`. The message says which limit and what to do."""

    def __init__(self, code: str, message: str, *, retry_seconds: int) -> None:
        super().__init__(message)
        self.code = code
        self.retry_seconds = retry_seconds


def limits_of(user_id: int) -> Limits:
    return limits_of_many([user_id])[user_id]


def limits_of_many(user_ids: Collection[int]) -> dict[int, Limits]:
    """Two queries, however many people."""
    everyone = InstallationLimits.objects.filter(id=1).first()
    own = PersonLimits.objects.in_bulk(user_ids)
    return {user_id: _resolved(own.get(user_id), everyone) for user_id in user_ids}


def installation_limits(*, own: bool = True) -> Limits:
    """Those of everyone; without `own` as the environment says."""
    return _resolved(InstallationLimits.objects.filter(id=1).first() if own else None)


def person_lock(user_id: int) -> None:
    """Until the transaction ends nobody else counts what this person uses in order to add to it.

    On SQLite the transaction itself is that lock: it began with the one write lock there is. `no_key` lets other
    transactions insert rows that refer to the person.
    """
    assert connection.in_atomic_block
    User.objects.select_for_update(no_key=True).filter(id=user_id).values_list("id", flat=True).first()


@transaction.atomic
def limits_set(row: LimitValues) -> None:
    """Save an InstallationLimits or a PersonLimits. Jobs that waited because of the earlier one may start now."""
    row.save()
    transaction.on_commit(wake_workers, robust=True)


def _resolved(*rows: LimitValues | None) -> Limits:
    """The first value that is set, from the narrowest row to the environment."""

    def value(field: str, default: int) -> int:
        values = (getattr(row, field) for row in rows if row is not None)
        return next((found for found in values if found is not None), default)

    return Limits(
        running_jobs=value("running_jobs", settings.LIMIT_RUNNING_JOBS),
        queued_jobs=value("queued_jobs", settings.LIMIT_QUEUED_JOBS),
        stored_bytes=value("stored_mb", settings.LIMIT_STORED_MB) * 1_000_000,
        uploads_per_minute=value("uploads_per_minute", settings.LIMIT_UPLOADS_PER_MINUTE),
    )
