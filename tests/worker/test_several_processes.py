"""A job over several processes, from what its owner asked for to the adapter, with the worker's own parts."""

import os
from pathlib import Path

import pytest

from tests.factories import make_user, make_version_of, make_worker
from tests.tiny import capitals, make_llama
from webapp.base_models.services import base_model_register
from webapp.contract.events import read_events
from webapp.contract.job_dir import EVENTS, OPTIONS, Options
from webapp.contract.model_folder import read_model_folder
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.jobs.accept import job_create
from webapp.jobs.attempts import job_claim
from webapp.jobs.models import Job, State
from webapp.jobs.wishes import Wishes
from worker.free_slots import Slot
from worker.run import Run


@pytest.mark.slow
@pytest.mark.django_db
def test_a_job_that_asks_for_two_is_trained_by_two_and_kept(tmp_path: Path) -> None:
    folder, ada = make_llama(tmp_path / "base"), make_user("ada")
    base = base_model_register(title="Tiny", folder=str(folder), report=read_model_folder(folder))
    knobs = {**auto_knobs("lora", "generate", base.shape, 60), "epochs": 2}
    recipe = Recipe(task="generate", base_model=base.id, method="lora", knobs=knobs)
    rows = make_version_of(ada, capitals())
    job_create(
        ada, name="Together", dataset_version=rows, base_model=base, recipe=recipe, wishes=Wishes(num_processes=2)
    )
    job = job_claim(make_worker(), num_free=1)
    assert job
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    Run(job, Slot(0, lock, {"OMP_NUM_THREADS": "1"}), lambda: ("go_on", "")).carry_out()
    os.close(lock)
    job = Job.objects.get()
    events, _end = read_events(job.attempt_dir / EVENTS)
    assert job.state == State.SUCCEEDED, job.error
    assert events[-1].kind == "finished"
    assert Options.model_validate_json((job.attempt_dir / OPTIONS).read_text()).num_processes == 2
