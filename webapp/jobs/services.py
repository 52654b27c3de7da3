"""What a job can undergo. `_job_move` alone writes `state`; every write by a worker names the attempt it is."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.celery import wake_workers
from webapp.contract.events import Event, PhaseMoved, Stepped
from webapp.contract.methods import METHODS
from webapp.contract.recipe import Recipe
from webapp.contract.split import TooFewRows
from webapp.contract.verdict import Verdict
from webapp.datasets.models import DatasetVersion
from webapp.jobs.figures import LiveFigures
from webapp.jobs.fit import base_model_problem, method_problem, task_problem
from webapp.jobs.models import ACTIVE, Job, JobEvent, State
from webapp.jobs.split_rows import rows_split_store

LOST_AFTER = timedelta(seconds=60)
"""A job whose worker has not written for this long has lost it."""

MAX_ATTEMPTS = 3


class CannotTrain(Exception):
    """The choices do not fit together; the message says why and what to change."""


class AlreadyOver(Exception):
    """The job ended, or was being saved, before the request arrived."""


class Beat(NamedTuple):
    """What a worker learns when it writes: whether the job is still its own, and whether it should stop."""

    is_mine: bool
    cancel_requested: bool


def job_create(
    owner: User, *, name: str, dataset_version: DatasetVersion, base_model: BaseModel, recipe: Recipe
) -> Job:
    """Accept a job: freeze its rows and split, then queue it. Raises CannotTrain."""
    _check_fit(dataset_version, base_model, recipe)
    job_id = uuid.uuid4()
    try:
        split = rows_split_store(dataset_version, recipe, storage.job_rows_path(job_id))
        with transaction.atomic():
            job = Job.objects.create(
                id=job_id,
                owner=owner,
                name=name,
                dataset_version=dataset_version,
                base_model=base_model,
                recipe_json=recipe.model_dump(),
                split=split.counts,
                split_sha256=split.sha256,
            )
            _events_add(job, [_moved("", State.QUEUED, "Waiting for a worker.")])
            transaction.on_commit(wake_workers, robust=True)
    except TooFewRows as error:
        storage.folder_delete(storage.job_dir(job_id))
        raise CannotTrain(str(error)) from error
    except BaseException:
        storage.folder_delete(storage.job_dir(job_id))
        raise
    return job


def job_cancel(job: Job) -> None:
    """End a waiting job at once; ask a running one to stop. Raises AlreadyOver."""
    now = timezone.now()
    if job.state == State.QUEUED and _job_move(job, State.CANCELLED, reason="Cancelled.", finished_at=now):
        return
    # A job that is being saved can no longer be stopped: its adapter is there in a moment.
    stoppable = Job.objects.filter(id=job.id, state__in=(State.STARTING, State.RUNNING))
    if stoppable.update(cancel_requested_at=now) != 1:
        raise AlreadyOver


def job_delete(job: Job) -> None:
    """Remove an ended job and its files."""
    assert job.is_over
    folder = storage.job_dir(job.id)
    job.delete()
    storage.folder_delete(folder)


def job_claim() -> Job | None:
    """The oldest waiting job, now this worker's own; of two workers exactly one gets it. None if nothing waits."""
    for job in Job.objects.waiting()[:10]:
        now = timezone.now()
        if _job_move(
            job,
            State.STARTING,
            reason="A worker took the job.",
            attempt=job.attempt + 1,
            heartbeat_at=now,
            started_at=now,
            live={},
        ):
            return job
    return None


@transaction.atomic
def job_record(job: Job, events: list[Event]) -> Beat:
    """Store what the engine said, and show that its worker lives. `job` is brought up to date."""
    figures = LiveFigures.model_validate(job.live)
    worth_keeping = _worth_keeping(events, figures.phase)
    for event in events:
        figures = figures.after(event)
    mine = Job.objects.filter(id=job.id, attempt=job.attempt, state__in=ACTIVE)
    if mine.update(heartbeat_at=timezone.now(), live=figures.model_dump()) != 1:
        return Beat(is_mine=False, cancel_requested=False)
    _events_add(job, [_engine_event(event) for event in worth_keeping])
    job.refresh_from_db()
    if job.state == State.STARTING and figures.phase not in ("", "preparing"):
        _job_move(job, State.RUNNING, reason="Everything is at hand; the work begins.")
    return Beat(is_mine=True, cancel_requested=job.cancel_requested_at is not None)


def job_finalize(job: Job) -> bool:
    """The engine is done; its files are about to be kept. False if the job is no longer this worker's."""
    return _job_move(job, State.FINALIZING, reason="Keeping the adapter.")


def job_succeed(job: Job, verdict: Verdict) -> bool:
    """The job is done. Called in the transaction that records its adapter, so that both are seen or neither."""
    return _job_move(
        job,
        State.SUCCEEDED,
        reason=verdict.sentence,
        verdict_json=verdict.model_dump(),
        finished_at=timezone.now(),
    )


def job_fail(job: Job, *, code: str, message: str, evidence: str = "") -> bool:
    """The job ended badly; the message says what happened and what to do."""
    error = {"code": code, "message": message, "evidence": evidence}
    return _job_move(job, State.FAILED, reason=message, error=error, finished_at=timezone.now())


def job_stopped(job: Job, *, reason: str) -> bool:
    """The engine stopped because it was told to: cancelled if a person said so, else another worker's turn."""
    if job.cancel_requested_at is not None:
        return _job_move(job, State.CANCELLED, reason="Cancelled.", finished_at=timezone.now())
    return _job_move(job, State.QUEUED, reason=reason, live={}, heartbeat_at=None)


def jobs_rescue_lost(now: datetime) -> int:
    """Give jobs whose worker went silent to the next one, a few times. Returns how many were touched."""
    lost = Job.objects.active().filter(heartbeat_at__lt=now - LOST_AFTER)
    return sum(_rescue(job) for job in lost)


def _rescue(job: Job) -> bool:
    if job.cancel_requested_at is None and job.attempt >= MAX_ATTEMPTS:
        message = f"The worker vanished {job.attempt} times while it ran this job. See its log, then try again."
        return job_fail(job, code="worker_lost", message=message)
    return job_stopped(job, reason="The worker vanished. Waiting for another one.")


def _check_fit(version: DatasetVersion, base_model: BaseModel, recipe: Recipe) -> None:
    """Refuse what no engine could do. Raises CannotTrain with every reason at once."""
    assert recipe.base_model == base_model.id
    found = (
        task_problem(recipe.task, version),
        base_model_problem(base_model, recipe.task),
        method_problem(METHODS[recipe.method], base_model, recipe.task),
    )
    reasons = [reason for reason in found if reason]
    if reasons:
        raise CannotTrain(" ".join(reasons))


@transaction.atomic
def _job_move(job: Job, to: State, *, reason: str, **fields: Any) -> bool:
    """Move a job if it still is where `job` says it is; then `job` is brought up to date. The only writer of state."""
    before = job.state
    mine = Job.objects.filter(id=job.id, state=before, attempt=job.attempt)
    if mine.update(state=to, **fields) != 1:
        return False
    job.refresh_from_db()
    _events_add(job, [_moved(before, to, reason)])
    return True


class _NewEvent(NamedTuple):
    at: datetime
    kind: str
    data: dict[str, Any]


def _moved(before: str, to: str, reason: str) -> _NewEvent:
    return _NewEvent(timezone.now(), "moved", {"from": before, "to": to, "reason": reason})


def _engine_event(event: Event) -> _NewEvent:
    data = event.model_dump(exclude={"at", "kind"})
    return _NewEvent(datetime.fromtimestamp(event.at, UTC), event.kind, data)


def _worth_keeping(events: list[Event], phase: str) -> list[Event]:
    """Events for the history: of many steps between two writes the last, of a phase's progress only its beginning."""
    kept: list[Event] = []
    last_step = max((index for index, event in enumerate(events) if isinstance(event, Stepped)), default=-1)
    for index, event in enumerate(events):
        if isinstance(event, PhaseMoved):
            if event.phase != phase:
                kept.append(event)
            phase = event.phase
        elif index == last_step or not isinstance(event, Stepped):
            kept.append(event)
    return kept


def _events_add(job: Job, events: Iterable[_NewEvent]) -> None:
    """Append to the job's history. The caller has just updated the job's row, which keeps other writers out."""
    last = JobEvent.objects.filter(job=job).aggregate(last=Max("seq"))["last"] or 0
    JobEvent.objects.bulk_create(
        JobEvent(job=job, seq=seq, attempt=job.attempt, at=event.at, kind=event.kind, data=event.data)
        for seq, event in enumerate(events, start=last + 1)
    )
