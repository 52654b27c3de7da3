"""What a worker does with an errand: claim it, keep it, and say how it ended. Every write names the attempt."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Q

from webapp.clock import database_now
from webapp.errands.models import Errand, ErrandQuerySet, Kind, State
from webapp.workers.models import Intent, Worker

MOST_LOST = 3
_LOST_TOO_OFTEN = f"The worker vanished {MOST_LOST} times while it did this, so it is not tried again by itself."
_LOOKED_AT = 10


class Beat(NamedTuple):
    """What a worker learns when it writes: whether the errand is still its own, and whether it should stop because
    somebody asked for that or because the account it works for was disabled."""

    is_mine: bool
    wants_stop: bool


def errand_claim(worker: Worker, kinds: Collection[Kind]) -> Errand | None:
    """The oldest errand of these kinds, now this worker's own; of several workers exactly one gets it."""
    worker.refresh_from_db()
    if worker.intent != Intent.ACTIVE:
        return None
    now = database_now()
    for errand in Errand.objects.to_take(now).filter(kind__in=kinds)[:_LOOKED_AT]:
        if errand.state == State.RUNNING and _end_lost(errand, now):
            continue
        if _take(errand, worker, now):
            errand.refresh_from_db()
            return errand
    return None


def _end_lost(errand: Errand, now: datetime) -> bool:
    """Of one that brought its workers down too often, or that nobody wants any more. False if it shall go on."""
    lost = Errand.objects.lost(now).filter(id=errand.id, attempt=errand.attempt)
    if errand.wants_stop:
        return lost.update(state=State.STOPPED, finished_at=now) == 1
    if errand.num_lost + 1 >= MOST_LOST:
        return lost.update(state=State.FAILED, error=_LOST_TOO_OFTEN, finished_at=now, num_lost=MOST_LOST) == 1
    return False


def _take(errand: Errand, worker: Worker, now: datetime) -> bool:
    unchanged = Errand.objects.to_take(now).filter(id=errand.id, attempt=errand.attempt)
    taken = unchanged.update(
        state=State.RUNNING,
        worker=worker,
        attempt=errand.attempt + 1,
        num_lost=errand.num_lost + (errand.state == State.RUNNING),
        lease_until=now + settings.TIMING.lease_span,
    )
    return taken == 1


def errand_beat(errand: Errand, progress: dict[str, Any] | None = None) -> Beat:
    """Renew the lease and tell how far it is. Raises the database's errors."""
    told = {} if progress is None else {"progress": progress}
    is_mine = _mine(errand).update(lease_until=database_now() + settings.TIMING.lease_span, **told) == 1
    unwanted = Q(wants_stop=True) | Q(asked_by__is_active=False)
    return Beat(is_mine, is_mine and Errand.objects.filter(unwanted, id=errand.id).exists())


def errand_done(errand: Errand, result: dict[str, Any]) -> bool:
    """False if it is no longer this worker's."""
    return _end(errand, state=State.DONE, result=result)


def errand_failed(errand: Errand, error: str, *, code: str = "") -> bool:
    """`code`: which kind of failure it is, where its child could tell."""
    return _end(errand, state=State.FAILED, error=error, result={"code": code} if code else None)


def errand_stopped(errand: Errand) -> bool:
    return _end(errand, state=State.STOPPED)


def errand_hand_back(errand: Errand) -> bool:
    """For another worker, or for this one when it is there again; it counts against nobody."""
    return _mine(errand).update(state=State.WAITING, worker=None, lease_until=None) == 1


def worker_errands_release(worker: Worker) -> int:
    """A worker that starts cannot be doing anything: what it held goes back at once, as lost."""
    held = Errand.objects.filter(worker=worker, state=State.RUNNING)
    return held.update(lease_until=database_now())


def _mine(errand: Errand) -> ErrandQuerySet:
    return Errand.objects.filter(id=errand.id, attempt=errand.attempt, state=State.RUNNING)


def _end(errand: Errand, **fields: Any) -> bool:
    return _mine(errand).update(finished_at=database_now(), lease_until=None, **fields) == 1
