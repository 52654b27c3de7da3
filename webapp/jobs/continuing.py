"""A job that goes on from an adapter: finding it, why it cannot be gone on from, and the job's own copy of it."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.adapter_files import FilesDiffer, verify
from webapp.contract.continuing import LEARNING_RATE_SHARE, fixed_knobs, labels_problem
from webapp.contract.job_dir import Manifest
from webapp.contract.methods import METHODS, KnobValue
from webapp.contract.tasks import Task
from webapp.datasets.models import DatasetVersion
from webapp.jobs.fit import task_problem
from webapp.jobs.knob_text import is_auto, knob_value
from webapp.jobs.lineage import version_words
from webapp.jobs.models import Job
from webapp.jobs.own import uuid_of

START = "start_adapter"
GONE = "The adapter to continue from is not there any more. Choose another one, or start from the base model."


class StartLost(Exception):
    """The adapter is gone or damaged; the message says what to do."""


class Start(NamedTuple):
    """`version` is the adapter version (of an app above this one), `job` the one that made it."""

    version: Any
    job: Job

    @property
    def words(self) -> str:
        return version_words(self.version)

    @property
    def task(self) -> Task:
        return self.job.recipe.task

    @property
    def fixed(self) -> dict[str, KnobValue]:
        """The settings that gave it its shape."""
        return fixed_knobs(self.job.recipe.method, self.job.recipe.knobs)

    def contradictions(self, sent: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Fields that ask for something else than it was made for and with, each with what to do."""
        recipe = self.job.recipe
        for field, settled in (("task", recipe.task), ("base_model", recipe.base_model), ("method", recipe.method)):
            if not is_auto(sent.get(field)) and sent[field] != settled:
                yield field, f"It stays “{settled}”, which {self.words} was made with. Leave it out."
        for knob in METHODS[recipe.method].knobs:
            value = self.fixed.get(knob.name)
            if value is not None and not is_auto(given := sent.get(knob.name)) and knob_value(knob, given) != value:
                yield knob.name, f"{knob.label}: it stays {value}, as in {self.words}. Leave it out."

    def auto(self, auto: dict[str, KnobValue]) -> dict[str, KnobValue]:
        """Auto where training goes on from it."""
        return {**auto, "learning_rate": float(auto["learning_rate"]) * LEARNING_RATE_SHARE, **self.fixed}

    def rows_problem(self, version: DatasetVersion) -> str | None:
        """Why it cannot go on with these rows."""
        if problem := task_problem(self.task, version):
            return problem
        if self.task != "classify":
            return None
        return labels_problem(self.words, Manifest.model_validate(self.version.manifest).labels, version.labels)


def start_find(user: User, word: object) -> Start | None:
    """None where there is no such adapter version, or it is another person's."""
    version_id = uuid_of(word)
    if version_id is None:
        return None
    jobs = Job.objects.visible_to(user).select_related("adapter_version__adapter", "dataset_version", "base_model")
    job: Any = jobs.filter(adapter_version=version_id).first()
    return Start(job.adapter_version, job) if job else None


def start_problem(start: Start, base_models: Sequence[BaseModel]) -> str | None:
    """Why nobody can go on from it, or not this person, whose base models these are."""
    if start.version.is_damaged:
        return _damaged(start)
    if start.job.base_model not in base_models:
        return f"The base model of {start.words} is no longer open to you, so it cannot be continued."
    for knob in METHODS[start.job.recipe.method].knobs:
        if knob.name in start.fixed and (problem := knob.problem_with(start.fixed[knob.name])):
            return f"{start.words} cannot be continued, for its size. {problem}"
    return None


def start_link(start: Start, job_id: uuid.UUID) -> None:
    """Give the job its own copy: the same bytes under a second name, so that no accepted job is harmed when the
    adapter is deleted. Raises StartLost."""
    copy = storage.job_start_dir(job_id)
    try:
        shutil.copytree(start.version.files_dir, copy, copy_function=os.link)
        verify(copy)
    except (FilesDiffer, OSError, ValueError) as error:
        if storage.is_full(error):
            raise
        if start_is_gone(start):
            raise StartLost(GONE) from error
        type(start.version).objects.filter(id=start.version.id).update(is_damaged=True)
        raise StartLost(_damaged(start)) from error


def start_is_gone(start: Start) -> bool:
    return not type(start.version).objects.filter(id=start.version.id).exists()


def start_inherit(job: Job, new_id: uuid.UUID) -> None:
    """Of a job that is tried anew. Raises StartLost."""
    if job.recipe.start_adapter is None:
        return
    try:
        shutil.copytree(storage.job_start_dir(job.id), storage.job_start_dir(new_id), copy_function=os.link)
    except OSError as error:
        if storage.is_full(error):
            raise
        message = "The adapter that this job continued is gone from its folder. Continue from its page instead."
        raise StartLost(message) from error


def _damaged(start: Start) -> str:
    return (
        f"{start.words} is damaged on the disk, so training cannot go on from it. Choose another version, start from "
        "the base model, or ask an admin to bring the data folder back from a backup."
    )
