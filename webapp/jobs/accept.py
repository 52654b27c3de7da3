"""Accepting a job: its rows frozen, its row written, a worker woken; whole or not at all."""

import logging
import os
import uuid

from django.db import IntegrityError, transaction

from webapp import storage
from webapp.accounts.models import User
from webapp.audit.recording import settle
from webapp.base_models.models import BaseModel
from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.contract.checkpoint import Checkpoint, checkpoint_problem
from webapp.contract.methods import METHODS
from webapp.contract.recipe import Recipe
from webapp.contract.split import TooFewRows
from webapp.datasets.models import DatasetVersion
from webapp.datasets.rows_file import RowsDamaged
from webapp.jobs.checkpoints import SEEDS, NoSuchCheckpoint, checkpoint_find, checkpoint_link, checkpoint_to_resume
from webapp.jobs.continuing import GONE, Start, StartLost, start_inherit, start_is_gone, start_link
from webapp.jobs.estimates import estimate_now
from webapp.jobs.fit import base_model_problem, method_problem, task_problem
from webapp.jobs.history import NewEvent, events_add
from webapp.jobs.idempotency import KeyReused
from webapp.jobs.limits import check_queue, take_place_in_queue
from webapp.jobs.models import Job, State
from webapp.jobs.persist import DATABASE_AWAY, persistently
from webapp.jobs.seen_rows import NOTHING_SEEN, RowsGone, seen_by
from webapp.jobs.split_rows import rows_split_store
from webapp.jobs.transition import BY_PERSON
from webapp.jobs.wishes import NO_WISHES, Wishes
from webapp.limits.limits import Limits, limits_of

log = logging.getLogger(__name__)

DAMAGED = (
    "The rows of this dataset are damaged on the disk. Save them anew on the dataset's page under “Change columns”, or "
    "upload the file again."
)


class CannotTrain(Exception):
    """The choices do not fit together; the message says why and what to change."""


def job_create(
    owner: User,
    *,
    name: str,
    dataset_version: DatasetVersion,
    base_model: BaseModel,
    recipe: Recipe,
    wishes: Wishes = NO_WISHES,
    parent: Job | None = None,
    start: Start | None = None,
    idempotency_key: str | None = None,
    request_sha256: str = "",
) -> Job:
    """Accept a job: freeze its rows and split, then queue it. The same key again gives the job that it made first.
    `start` is the adapter that the recipe names to go on from.

    Raises CannotTrain, KeyReused and LimitReached.
    """
    _check_fit(dataset_version, base_model, recipe, start)
    if earlier := _made_before(owner, idempotency_key, request_sha256):
        return earlier
    limits = limits_of(owner.id)
    check_queue(owner, limits)
    # Before there are files: once there are, a database that goes away leaves them behind.
    told = estimate_now(dataset_version, base_model, recipe, wishes.needs)
    job_id = uuid.uuid4()
    try:
        seen = seen_by(start.job) if start else NOTHING_SEEN
        split = rows_split_store(dataset_version, recipe, storage.job_rows_path(job_id), seen)
        if start:
            start_link(start, job_id)
        job = Job(
            id=job_id,
            owner=owner,
            name=name,
            dataset_version=dataset_version,
            base_model=base_model,
            recipe_json=recipe.model_dump(),
            recipe_version=recipe.version,
            split=split.counts,
            split_sha256=split.sha256,
            rows_sha256=split.rows_sha256,
            parent=parent,
            started_from=start and start.version,
            idempotency_key=idempotency_key,
            request_sha256=request_sha256,
            estimate_json=told and told.model_dump(),
            **vars(wishes),
        )
        seed = _inherited(job)
        if seed is not None:
            checkpoint_link(seed, storage.attempt_dir(job_id, SEEDS))
        return _accept(job, limits)
    except (TooFewRows, RowsGone, StartLost) as error:
        storage.folder_delete(storage.job_dir(job_id))
        raise CannotTrain(str(error)) from error
    except RowsDamaged as error:
        log.error("dataset version %s: %s", dataset_version.id, error)
        DatasetVersion.objects.filter(id=dataset_version.id).update(is_damaged=True)
        raise CannotTrain(DAMAGED) from error
    except BaseException as error:
        _files_drop(job_id, error)
        if isinstance(error, IntegrityError) and start and start_is_gone(start):
            raise CannotTrain(GONE) from error
        raise


def job_retry(
    job: Job,
    owner: User,
    *,
    from_start: bool = False,
    checkpoint: str = "",
    idempotency_key: str | None = None,
    request_sha256: str = "",
) -> Job:
    """A new job like an ended one: the same rows on the same sides, the same recipe, going on from the newest
    checkpoint that verifies, or from the one that `checkpoint` names, unless it shall begin anew.

    Raises NoSuchCheckpoint, KeyReused and LimitReached, and CannotTrain where the job's rows are gone, or the adapter
    it continued.
    """
    assert job.is_over
    if earlier := _made_before(owner, idempotency_key, request_sha256):
        return earlier
    limits = limits_of(owner.id)
    check_queue(owner, limits)
    seed = None if from_start else _seed_of(job, checkpoint)
    new_id = uuid.uuid4()
    folder = storage.job_dir(new_id)
    try:
        folder.mkdir(parents=True)
        _rows_link(job, new_id)
        start_inherit(job, new_id)
        if seed is not None:
            checkpoint_link(seed, storage.attempt_dir(new_id, SEEDS))
        return _accept(
            Job(
                id=new_id,
                owner=owner,
                name=job.name,
                dataset_version=job.dataset_version,
                base_model=job.base_model,
                recipe_json=job.recipe_json,
                recipe_version=job.recipe_version,
                split=job.split,
                split_sha256=job.split_sha256,
                rows_sha256=job.rows_sha256,
                parent=job,
                started_from=job.started_from,
                idempotency_key=idempotency_key,
                request_sha256=request_sha256,
                micro_batch_divisor=job.micro_batch_divisor,
                priority=job.priority,
                needs_labels=job.needs_labels,
                needs_memory_bytes=job.needs_memory_bytes,
                time_limit_seconds=job.time_limit_seconds,
                num_processes=job.num_processes,
                # A job that goes on from a checkpoint takes less than was foretold of the whole.
                estimate_json=None,
            ),
            limits,
        )
    except StartLost as error:
        _files_drop(new_id, error)
        raise CannotTrain(str(error)) from error
    except BaseException as error:
        _files_drop(new_id, error)
        raise


def goes_on_from(parent: Job, version: DatasetVersion, recipe: Recipe) -> bool:
    """Whether a job made of this one trains the same and so can go on where it ended: only its wishes differ."""
    unfinished = parent.state in (State.FAILED, State.CANCELLED)
    return unfinished and parent.dataset_version_id == version.id and parent.recipe == recipe


def _inherited(job: Job) -> Checkpoint | None:
    parent = job.parent
    if parent is None or parent.split_sha256 != job.split_sha256:
        return None
    return checkpoint_to_resume(parent) if goes_on_from(parent, job.dataset_version, job.recipe) else None


def _seed_of(job: Job, word: str) -> Checkpoint | None:
    """What the new job goes on from. A checkpoint that somebody chose is not silently replaced by another."""
    if not word:
        return checkpoint_to_resume(job)
    chosen = checkpoint_find(job, word)
    if chosen is None or checkpoint_problem(chosen) is not None:
        raise NoSuchCheckpoint(f"The checkpoint “{word[:60]}” of this job is gone or damaged. Choose another one.")
    return chosen


def _rows_link(job: Job, new_id: uuid.UUID) -> None:
    try:
        os.link(storage.job_rows_path(job.id), storage.job_rows_path(new_id))
    except FileNotFoundError:
        raise CannotTrain("The rows of this job are gone from the data folder. Train again from its dataset.") from None


def _files_drop(job_id: uuid.UUID, error: BaseException) -> None:
    """Of a job that was not accepted. Where the database went away it may be recorded although we were not told, so
    its files stay; if it is not, they are collected later."""
    if not isinstance(error, DATABASE_AWAY):
        storage.folder_delete(storage.job_dir(job_id))


def _accept(job: Job, limits: Limits) -> Job:
    """Row, first event and wake-up. Of two requests with one key at the same moment the second gets the first's."""

    @transaction.atomic
    def add() -> bool:
        take_place_in_queue(job, limits)
        job.save(force_insert=True)
        told = {"from": "", "to": State.QUEUED, "reason": "Waiting for a worker.", "actor": BY_PERSON}
        events_add(job.id, job.attempt, [NewEvent(database_now(), "moved", told)])
        transaction.on_commit(wake_workers, robust=True)
        settle(job)
        return True

    storage.folder_settle(storage.job_dir(job.id))
    job.stored_bytes = storage.folder_bytes(storage.job_dir(job.id))
    try:
        persistently(add, is_done=lambda: Job.objects.filter(id=job.id).exists())
    except IntegrityError:
        earlier = _made_before(job.owner, job.idempotency_key, job.request_sha256)
        if earlier is None:
            raise
        storage.folder_delete(storage.job_dir(job.id))
        return earlier
    return job


def _made_before(owner: User, key: str | None, request_sha256: str) -> Job | None:
    """The job that this key made. Raises KeyReused if another request made it."""
    earlier = Job.objects.filter(owner=owner, idempotency_key=key).first() if key else None
    if earlier and earlier.request_sha256 and request_sha256 not in ("", earlier.request_sha256):
        raise KeyReused(earlier.name)
    return earlier


def _check_fit(version: DatasetVersion, base_model: BaseModel, recipe: Recipe, start: Start | None) -> None:
    """Refuse what no engine could do. Raises CannotTrain with every reason at once."""
    assert recipe.base_model == base_model.id
    assert recipe.start_adapter == (str(start.version.id) if start else None)
    found = (
        task_problem(recipe.task, version),
        base_model_problem(base_model, recipe.task),
        method_problem(METHODS[recipe.method], base_model, recipe.task),
        start and start.rows_problem(version),
    )
    reasons = list(dict.fromkeys(reason for reason in found if reason))
    if reasons:
        raise CannotTrain(" ".join(reasons))
