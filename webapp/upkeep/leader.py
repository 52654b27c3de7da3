"""Which of the reconcilers sweeps: a lease in the database. And whether nobody could, for a while."""

from datetime import datetime

from django.conf import settings
from django.db.models import Q

from webapp.jobs.models import LeaderLease

NAME = "reconciler"


def turn_take(holder: str, now: datetime) -> bool:
    """True if this holder may sweep now."""
    LeaderLease.objects.get_or_create(name=NAME)
    free = Q(holder=holder) | Q(expires_at=None) | Q(expires_at__lt=now)
    expires_at = now + settings.TIMING.turn_span
    return LeaderLease.objects.filter(free, name=NAME).update(holder=holder, expires_at=expires_at) == 1


def is_quiet(now: datetime) -> bool:
    """True for one lease after a gap in which nobody swept: the database was away, so live workers could not renew.

    Without this, an outage longer than a lease would take every running job from its worker.
    """
    lease = LeaderLease.objects.get(name=NAME)
    if lease.swept_at is None:
        return False
    if now - lease.swept_at > settings.TIMING.longest_gap:
        LeaderLease.objects.filter(name=NAME).update(quiet_until=now + settings.TIMING.lease_span)
        return True
    return lease.quiet_until is not None and now < lease.quiet_until


def turn_note(now: datetime) -> None:
    """One that slept since its turn began must not make it look as if nobody had swept meanwhile."""
    earlier = Q(swept_at=None) | Q(swept_at__lt=now)
    LeaderLease.objects.filter(earlier, name=NAME).update(swept_at=now)
