"""Moving a job from state to state. `transition` alone writes `state`: a conditional update on the state and attempt
the caller believes in, and the rows that tell of it, in one transaction."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from webapp import storage
from webapp.audit.recording import settle
from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.jobs.history import NewEvent, events_add
from webapp.jobs.models import ACTIVE, OVER, Job, JobAttempt, JobEvent, Outcome, State
from webapp.jobs.persist import persistently
from webapp.webhooks.services import notices_add

BY_PERSON = "person"

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.PAUSED, State.CANCELLED}),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.STARTING: frozenset(
        {State.RUNNING, State.FINALIZING, State.QUEUED, State.PAUSED, State.FAILED, State.CANCELLED}
    ),
    State.RUNNING: frozenset({State.FINALIZING, State.QUEUED, State.PAUSED, State.FAILED, State.CANCELLED}),
    State.FINALIZING: frozenset({State.SUCCEEDED, State.QUEUED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The whole machine. What is over stays as it is; the database holds that too, see `terminal_guard.py`."""

OUTCOMES = {
    State.SUCCEEDED: Outcome.SUCCEEDED,
    State.FAILED: Outcome.FAILED,
    State.CANCELLED: Outcome.CANCELLED,
    State.QUEUED: Outcome.HANDED_BACK,
    State.PAUSED: Outcome.HANDED_BACK,
}
"""What became of the attempt, unless the caller knows better."""

TOLD = {
    State.SUCCEEDED: "job.succeeded",
    State.FAILED: "job.failed",
    State.CANCELLED: "job.cancelled",
    State.PAUSED: "job.paused",
}
"""States a webhook hears of."""

_FREE = {"worker": None, "lease_expires_at": None, "heartbeat_at": None, "state_deadline": None}
"""A job in nobody's hands."""


def transition(
    job: Job,
    to: State,
    *,
    actor: str,
    reason: str,
    guard: Q | None = None,
    outcome: Outcome | None = None,
    exit_code: int | None = None,
    slot: int = 0,
    first: Callable[[], bool] | None = None,
    also: Callable[[], None] | None = None,
    **fields: Any,
) -> bool:
    """Move a job if it still is where `job` says; then `job` is brought up to date. False if it is not, or `guard`
    does not hold: somebody else was there first.

    `first` comes before all else in the same transaction, for what needs a lock; its False is the answer. `also` comes
    last in it. A try whose commit was lost on the way back is recognised, not repeated.
    Raises the database's error when it stays away.
    """
    before, attempt = State(job.state), job.attempt
    assert to in MOVES[before], f"{before} -> {to}"
    key = uuid.uuid4().hex
    if to not in ACTIVE:
        fields = {**_FREE, "asked": "", "asked_at": None, **fields}
        fields["stored_bytes"] = storage.folder_bytes(storage.job_dir(job.id))

    @transaction.atomic
    def move() -> bool:
        if first is not None and not first():
            return False
        mine = Job.objects.filter(guard or Q(), id=job.id, state=before, attempt=attempt)
        if mine.update(state=to, **fields) != 1:
            return False
        now = database_now()
        told = {"from": before, "to": to, "reason": reason, "actor": actor, "key": key}
        events_add(job.id, fields.get("attempt", attempt), [NewEvent(now, "moved", told)])
        _attempt_row(job, to, now, outcome, reason, exit_code, slot, fields)
        if also is not None:
            also()
        if to in TOLD:
            notices_add(job.owner, TOLD[to], _payload(job, to, reason))
        if to not in ACTIVE:
            # This one, or another of its owner's that waited for it to end.
            transaction.on_commit(wake_workers, robust=True)
        settle(job)
        return True

    def is_done() -> bool:
        return JobEvent.objects.filter(job_id=job.id, kind="moved", data__key=key).exists()

    def see() -> bool:
        job.refresh_from_db()
        # Whoever slept since the commit may find the job in other hands: it still is only this attempt.
        job.attempt = fields.get("attempt", attempt)
        return True

    return persistently(move, is_done=is_done) and persistently(see, is_done=lambda: False)


def _attempt_row(
    job: Job,
    to: State,
    now: datetime,
    outcome: Outcome | None,
    reason: str,
    exit_code: int | None,
    slot: int,
    fields: dict[str, Any],
) -> None:
    """An attempt begins with the claim and ends when the job leaves the active states."""
    if to == State.STARTING:
        JobAttempt.objects.create(job=job, number=fields["attempt"], worker=fields["worker"], slot=slot, started_at=now)
    elif to not in ACTIVE:
        JobAttempt.objects.filter(job=job, number=job.attempt, ended_at=None).update(
            ended_at=now, outcome=outcome or OUTCOMES[to], reason=reason, exit_code=exit_code
        )


def _payload(job: Job, to: State, reason: str) -> dict[str, Any]:
    return {"id": str(job.id), "name": job.name, "state": str(to), "is_over": to in OVER, "reason": reason}
