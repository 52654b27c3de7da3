"""Which of the reconcilers sweeps: a lease in the database. And whether nobody could, for a while."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from webapp.jobs.models import LeaderLease

NAME = "reconciler"
TURN_SWEEPS = 3
"""For how many missed sweeps a holder keeps its turn; then another takes it."""


def turn_take(holder: str, now: datetime) -> bool:
    """True if this holder may sweep now."""
    LeaderLease.objects.get_or_create(name=NAME)
    free = Q(holder=holder) | Q(expires_at=None) | Q(expires_at__lt=now)
    expires_at = now + timedelta(seconds=TURN_SWEEPS * settings.TIMING.sweep)
    return LeaderLease.objects.filter(free, name=NAME).update(holder=holder, expires_at=expires_at) == 1


def is_quiet(now: datetime) -> bool:
    """True for one lease after a gap in which nobody swept: the database was away, so live workers could not renew.

    Without this, an outage longer than a lease would take every running job from its worker.
    """
    lease = LeaderLease.objects.get(name=NAME)
    # A holder that died is no outage: then the gap is its turn and a sweep.
    longest_gap = timedelta(seconds=2 * TURN_SWEEPS * settings.TIMING.sweep)
    if lease.swept_at is None or now - lease.swept_at > longest_gap:
        LeaderLease.objects.filter(name=NAME).update(quiet_until=now + settings.TIMING.lease_span)
        return lease.swept_at is not None
    return lease.quiet_until is not None and now < lease.quiet_until


def turn_note(now: datetime) -> None:
    LeaderLease.objects.filter(name=NAME).update(swept_at=now)
