"""What people do with errands: ask, stop, forget. All times by the database's clock."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from webapp.accounts.models import User
from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.errands.models import Errand, Kind, State
from webapp.workers.models import Intent, Worker

MOST_WAITING = 20
"""Of one person: whoever asks faster than workers answer is told so."""
FAILURES_KEPT = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(days=7)


class TooManyErrands(Exception):
    """This person has asked for much that has not even begun."""


def errand_ask(user: User, kind: Kind, payload: dict[str, Any]) -> Errand:
    """A new errand, and the workers' bell once it is committed. Raises TooManyErrands."""
    if Errand.objects.filter(asked_by=user, state=State.WAITING).count() >= MOST_WAITING:
        raise TooManyErrands("Too many small things wait for a worker already. Wait until some are done.")
    errand = Errand.objects.create(
        kind=kind,
        asked_by=user,
        payload=payload,
        question_sha256=_question_sha256(kind, payload),
        created_at=database_now(),
    )
    transaction.on_commit(wake_workers, robust=True)
    return errand


def errand_asked(kind: Kind, payload: dict[str, Any], *, answers_kept: timedelta) -> Errand | None:
    """The same question, whoever asked it: if it moves, was answered within that time, or failed a moment ago."""
    last = Errand.objects.filter(question_sha256=_question_sha256(kind, payload)).order_by("-created_at").first()
    if last is None or last.is_moving:
        return last
    kept = {State.DONE: answers_kept, State.FAILED: FAILURES_KEPT}.get(State(last.state), timedelta(0))
    return last if last.finished_at and database_now() - last.finished_at < kept else None


def _question_sha256(kind: Kind, payload: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([str(kind), payload], sort_keys=True).encode()).hexdigest()


def errand_stop(errand: Errand) -> None:
    """At once if nobody has begun it; else as soon as its worker hears of it."""
    mine = Errand.objects.filter(id=errand.id)
    if not mine.filter(state=State.WAITING).update(state=State.STOPPED, finished_at=database_now()):
        mine.filter(state=State.RUNNING).update(wants_stop=True)


def errands_are_served() -> bool:
    """Whether a worker is there that takes errands."""
    return Worker.objects.online(database_now()).filter(intent=Intent.ACTIVE).exists()


def errands_forget(now: datetime) -> int:
    """Old ones, and those that waited for a worker in vain. Returns how many."""
    before = now - FORGOTTEN_AFTER
    ended = Errand.objects.filter(finished_at__lt=before)
    in_vain = Errand.objects.filter(state=State.WAITING, created_at__lt=before)
    return ended.delete()[0] + in_vain.delete()[0]
