"""Accepting a job: its rows frozen, its row written, a worker woken; whole or not at all."""

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.celery import wake_workers
from webapp.clock import database_now
from webapp.contract.methods import METHODS
from webapp.contract.recipe import Recipe
from webapp.contract.split import TooFewRows
from webapp.datasets.models import DatasetVersion
from webapp.jobs.checkpoints import SEEDS, checkpoint_link, checkpoint_to_resume
from webapp.jobs.fit import base_model_problem, method_problem, task_problem
from webapp.jobs.history import NewEvent, events_add
from webapp.jobs.models import Job, Priority, State
from webapp.jobs.persist import persistently
from webapp.jobs.split_rows import rows_split_store
from webapp.jobs.transition import BY_PERSON


class CannotTrain(Exception):
    """The choices do not fit together; the message says why and what to change."""


@dataclass(frozen=True)
class Wishes:
    """How a job shall be queued and run; nothing here changes what is trained."""

    priority: Priority = Priority.NORMAL
    needs_labels: Sequence[str] = ()
    needs_memory_bytes: int = 0
    time_limit_seconds: int = 0


def job_create(
    owner: User,
    *,
    name: str,
    dataset_version: DatasetVersion,
    base_model: BaseModel,
    recipe: Recipe,
    wishes: Wishes = Wishes(),
    parent: Job | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Accept a job: freeze its rows and split, then queue it. The same key again gives the job that it made first.

    Raises CannotTrain.
    """
    _check_fit(dataset_version, base_model, recipe)
    if earlier := _made_before(owner, idempotency_key):
        return earlier
    job_id = uuid.uuid4()
    try:
        split = rows_split_store(dataset_version, recipe, storage.job_rows_path(job_id))
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
            parent=parent,
            idempotency_key=idempotency_key,
            **vars(wishes),
        )
        return _accept(job)
    except TooFewRows as error:
        storage.folder_delete(storage.job_dir(job_id))
        raise CannotTrain(str(error)) from error
    except BaseException:
        storage.folder_delete(storage.job_dir(job_id))
        raise


def job_retry(job: Job, owner: User, *, from_start: bool = False) -> Job:
    """A new job like an ended one: the same rows on the same sides, the same recipe, going on from the newest
    checkpoint that verifies unless it shall begin anew."""
    assert job.is_over
    new_id = uuid.uuid4()
    folder = storage.job_dir(new_id)
    try:
        folder.mkdir(parents=True)
        os.link(storage.job_rows_path(job.id), storage.job_rows_path(new_id))
        checkpoint = None if from_start else checkpoint_to_resume(job)
        if checkpoint is not None:
            checkpoint_link(checkpoint, storage.attempt_dir(new_id, SEEDS))
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
                parent=job,
                micro_batch_divisor=job.micro_batch_divisor,
                priority=job.priority,
                needs_labels=job.needs_labels,
                needs_memory_bytes=job.needs_memory_bytes,
                time_limit_seconds=job.time_limit_seconds,
            )
        )
    except BaseException:
        storage.folder_delete(folder)
        raise


def _accept(job: Job) -> Job:
    """Row, first event and wake-up. Of two requests with one key at the same moment the second gets the first's."""

    @transaction.atomic
    def add() -> bool:
        job.save(force_insert=True)
        told = {"from": "", "to": State.QUEUED, "reason": "Waiting for a worker.", "actor": BY_PERSON}
        events_add(job.id, job.attempt, [NewEvent(database_now(), "moved", told)])
        transaction.on_commit(wake_workers, robust=True)
        return True

    try:
        persistently(add, is_done=lambda: Job.objects.filter(id=job.id).exists())
    except IntegrityError:
        earlier = _made_before(job.owner, job.idempotency_key)
        if earlier is None:
            raise
        storage.folder_delete(storage.job_dir(job.id))
        return earlier
    return job


def _made_before(owner: User, key: str | None) -> Job | None:
    return Job.objects.filter(owner=owner, idempotency_key=key).first() if key else None


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
