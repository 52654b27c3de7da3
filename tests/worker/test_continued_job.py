"""A job that continues an adapter, from its acceptance to its own adapter: real rows, a real tiny model, the engine."""

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.here import Attempt
from tests.factories import make_user, make_version_of, make_worker
from tests.tiny import capitals, make_bert, make_llama, vowels
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.adapters.services import adapter_store
from webapp.base_models.models import BaseModel
from webapp.base_models.services import base_model_register
from webapp.contract.job_dir import CHAT_TEMPLATE
from webapp.contract.model_folder import read_model_folder
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.tasks import Task
from webapp.datasets.models import DatasetVersion
from webapp.errands.models import Errand, Kind
from webapp.jobs.accept import job_create
from webapp.jobs.attempts import job_claim, job_finalize, job_record
from webapp.jobs.continuing import Start, start_find
from webapp.jobs.models import Job
from worker.job_dir import job_dir_lay_out
from worker.preview_errand import tell_preview

pytestmark = pytest.mark.django_db
LABELS = ("vowel", "consonant")


@pytest.fixture
def ada() -> User:
    return make_user("ada")


def register(folder: Path) -> BaseModel:
    return base_model_register(title="Tiny", folder=str(folder), report=read_model_folder(folder))


def accepted(rows: DatasetVersion, base: BaseModel, task: Task, method: str, start: Start | None = None) -> Job:
    knobs = {**auto_knobs(method, task, base.shape, rows.num_rows), "epochs": 3, "learning_rate": 0.02}
    if start:
        knobs = {**start.auto(knobs), "epochs": 1}
    start_id = str(start.version.id) if start else None
    recipe = Recipe(task=task, base_model=base.id, method=method, knobs=knobs, start_adapter=start_id)
    owner = rows.dataset.owner
    return job_create(owner, name="Onward", dataset_version=rows, base_model=base, recipe=recipe, start=start)


def run() -> tuple[Job, Attempt]:
    """What a worker does, with the engine in this process."""
    job = job_claim(make_worker())
    assert job
    attempt = Attempt(job_dir_lay_out(job, lambda _event: None))
    job_record(job, attempt.events)
    return job, attempt


def kept(job: Job, attempt: Attempt) -> AdapterVersion:
    assert attempt.exit_code == 0, attempt.events[-1]
    assert job_finalize(job)
    version = adapter_store(job, attempt.job_dir)
    assert version
    return version


def start_of(version: AdapterVersion) -> Start:
    start = start_find(version.adapter.owner, str(version.id))
    assert start
    return start


@pytest.mark.parametrize(
    ("task", "method"),
    [("generate", "lora"), ("generate", "p_tuning"), ("classify", "bottleneck")],
)
def test_it_begins_where_the_earlier_one_was_best(ada: User, tmp_path: Path, task: Task, method: str) -> None:
    is_text = task == "generate"
    base = register((make_llama if is_text else make_bert)(tmp_path / "tiny"))
    rows = make_version_of(ada, capitals() if is_text else vowels(), labels=() if is_text else LABELS)
    accepted(rows, base, task, method)
    job, first = run()
    version = kept(job, first)
    accepted(rows, base, task, method, start_of(version))
    job, second = run()
    best = min(loss for loss, _is_best in first.watched.values())
    assert best < first.watched[0][0]
    assert second.watched[0][0] == pytest.approx(best, abs=1e-4)
    onward = kept(job, second)
    assert (onward.adapter, onward.number) == (version.adapter, 2)
    assert "Training went on from “Onward” version 1." in (onward.files_dir / "README.md").read_text()


def test_rows_are_read_with_the_adapter_s_own_template(ada: User, tmp_path: Path) -> None:
    """Also where the base model's folder has another one by now, and in the preview."""
    base, rows = register(make_llama(tmp_path / "llama")), make_version_of(ada, capitals())
    accepted(rows, base, "generate", "lora")
    version = kept(*run())
    (base.path / CHAT_TEMPLATE).write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    accepted(rows, base, "generate", "lora", start_of(version))
    onward = kept(*run())
    assert (onward.files_dir / CHAT_TEMPLATE).read_text() == (version.files_dir / CHAT_TEMPLATE).read_text()

    payload = {"dataset_version": str(rows.id), "base_model": base.id, "task": "generate", "max_length": 9, "seed": 0}
    with_start = {**payload, "start_adapter": str(version.id)}
    errands = [Errand(kind=Kind.PREVIEW, payload=one) for one in (payload, with_start)]
    folders = [json.loads(tell_preview(errand).request)["folder"] for errand in errands]
    assert folders == [str(base.path), str(version.files_dir)]


@pytest.mark.parametrize(
    ("harm", "says"),
    [("flip", "missing or damaged"), ("gone", "missing or damaged"), ("other base", "no longer those")],
)
def test_what_it_cannot_go_on_from_ends_it_with_a_sentence(ada: User, tmp_path: Path, harm: str, says: str) -> None:
    base, rows = register(make_llama(tmp_path / "llama")), make_version_of(ada, capitals())
    accepted(rows, base, "generate", "ia3")
    version = kept(*run())
    job = accepted(rows, base, "generate", "ia3", start_of(version))
    if harm == "other base":
        make_llama(base.path, initializer_range=0.1)
    elif harm == "gone":
        shutil.rmtree(storage.job_start_dir(job.id))
    else:
        path = storage.job_start_dir(job.id) / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    _job, attempt = run()
    failed = attempt.events[-1]
    assert (failed.kind, failed.code) == ("failed", "start_adapter")
    assert says in failed.message and "start from the base model" in failed.message
