"""Rows in the database that many tests start from, made the way the app makes them."""

from collections.abc import Sequence
from typing import Any

from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.clock import database_now
from webapp.contract.base_models import STARTERS
from webapp.contract.devices import Device
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.version import RECIPE_VERSION, graftwork_version
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.rows_file import rows_writer
from webapp.jobs.accept import job_create
from webapp.jobs.models import Job
from webapp.workers.models import Worker

SMOLLM2 = "smollm2-135m-instruct"
MINILM = "minilm-l6"


def make_user(name: str = "alice", **fields: Any) -> User:
    return User.objects.create(username=name, **fields)


def make_starter(model_id: str = SMOLLM2) -> BaseModel:
    starter = STARTERS[model_id]
    fields = {"title": starter.title, "shape_json": starter.shape.model_dump(), "has_chat_template": True}
    return BaseModel.objects.update_or_create(id=model_id, defaults=fields)[0]


def make_version(owner: User, *, num_rows: int = 60, labels: tuple[str, ...] = ()) -> DatasetVersion:
    """A saved dataset of `num_rows` different rows; with labels their outputs are these in turn."""
    outputs = [labels[index % len(labels)] if labels else f"answer {index}" for index in range(num_rows)]
    rows = [(f"question {index}", output) for index, output in enumerate(outputs)]
    return make_version_of(owner, rows, labels=labels)


def make_version_of(owner: User, rows: list[tuple[str, str]], *, labels: Sequence[str] = ()) -> DatasetVersion:
    """A saved dataset of these inputs and outputs."""
    upload = Upload.objects.create(
        owner=owner,
        file_name="rows.csv",
        format="csv",
        size_bytes=1,
        sha256="0",
        columns=["q", "a"],
        num_rows=len(rows),
        is_read=True,
    )
    version = DatasetVersion(
        dataset=Dataset.objects.create(owner=owner, name="Rows"),
        number=1,
        upload=upload,
        mapping={"input": "q", "output": "a"},
        task_guess="classify" if labels else "generate",
        num_rows=len(rows),
        stats={"labels": {label: [output for _input, output in rows].count(label) for label in labels}},
    )
    version.rows_path.parent.mkdir(parents=True)
    with rows_writer(version.rows_path) as kept:
        for index, (text, output) in enumerate(rows):
            kept.add((index + 2, text, output, None))
    version.rows_sha256 = kept.sha256
    version.save(force_insert=True)
    return version


def make_recipe(model_id: str = SMOLLM2, *, task: str = "generate", method: str = "lora", **knobs: Any) -> Recipe:
    auto = auto_knobs(method, task, STARTERS[model_id].shape, 100)  # type: ignore[arg-type]
    return Recipe(task=task, base_model=model_id, method=method, knobs={**auto, **knobs})  # type: ignore[arg-type]


def make_worker(name: str = "one", **fields: Any) -> Worker:
    """Online, with a processor and 16 GB."""
    device = Device(kind="cpu", name="A processor", memory_bytes=16_000_000_000, cores=8)
    now = database_now()
    seen = {"host": "here", "version": graftwork_version(), "devices_json": [device.model_dump()], "num_cores": 8}
    seen["recipe_version"] = RECIPE_VERSION
    fields = {**seen, "started_at": now, "heartbeat_at": now, **fields}
    return Worker.objects.update_or_create(name=name, defaults=fields)[0]


def make_job(owner: User, **fields: Any) -> Job:
    """A queued LoRA job on SmolLM2."""
    job = job_create(
        owner,
        name="First",
        dataset_version=make_version(owner),
        base_model=make_starter(),
        recipe=make_recipe(),
    )
    if fields:
        Job.objects.filter(id=job.id).update(**fields)
        job.refresh_from_db()
    return job
