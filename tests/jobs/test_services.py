"""What a job can undergo, on a real database."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.factories import MINILM, make_job, make_recipe, make_starter, make_user, make_version
from webapp import storage
from webapp.contract.events import Evaluated, PhaseMoved, Started, Stepped
from webapp.jobs.models import Job, State
from webapp.jobs.services import (
    AlreadyOver,
    CannotTrain,
    job_cancel,
    job_claim,
    job_create,
    job_delete,
    job_fail,
    job_record,
    job_stopped,
    jobs_rescue_lost,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def stepped(step: int) -> Stepped:
    return Stepped(
        step=step, total_steps=9, epoch=1, loss=1 / step, learning_rate=1e-3, tokens=step, tokens_per_second=5
    )


STARTED = Started(
    trainable_params=1, total_params=100, num_train_rows=42, num_validation_rows=6, num_test_rows=12,
    total_steps=9, device="cpu", precision="fp32",
)  # fmt: skip


def history(job: Job) -> list[str]:
    return [event.data["to"] for event in job.events.filter(kind="moved")]


def test_an_accepted_job_waits_with_its_rows_split() -> None:
    job = make_job(make_user())
    assert job.state == State.QUEUED
    assert job.split == {"train": 42, "validation": 6, "test": 12}
    sides = pq.read_table(storage.job_rows_path(job.id)).column("split").to_pylist()
    assert {side: sides.count(side) for side in job.split} == job.split


def test_too_few_rows_leave_nothing_behind(data_dir: Path) -> None:
    alice = make_user()
    with pytest.raises(CannotTrain, match="Add 8 more"):
        job_create(
            alice,
            name="x",
            dataset_version=make_version(alice, num_rows=12),
            base_model=make_starter(),
            recipe=make_recipe(),
        )
    assert not Job.objects.exists()
    assert not any((data_dir / "jobs").glob("*"))


def test_what_no_engine_could_do_is_refused() -> None:
    alice = make_user()
    recipe = make_recipe(MINILM, task="classify")
    with pytest.raises(CannotTrain, match="does not hold labels"):
        job_create(alice, name="x", dataset_version=make_version(alice), base_model=make_starter(MINILM), recipe=recipe)


def test_one_worker_gets_the_oldest_job() -> None:
    alice = make_user()
    first, second = make_job(alice), make_job(alice)
    taken = [job_claim(), job_claim(), job_claim()]
    assert [job and job.id for job in taken] == [first.id, second.id, None]


def test_a_stale_view_of_a_job_cannot_move_it() -> None:
    job = make_job(make_user())
    stale = Job.objects.get(id=job.id)
    assert job_claim()
    assert not job_fail(stale, code="x", message="x")
    assert Job.objects.get().state == State.STARTING


def test_events_become_figures_and_history() -> None:
    make_job(make_user())
    job = job_claim()
    assert job
    job_record(job, [PhaseMoved(phase="loading", sentence="Loading.")])
    assert job.state == State.RUNNING
    job_record(job, [STARTED, stepped(1), stepped(2), stepped(3), Evaluated(step=3, epoch=1, loss=0.5)])
    kinds = [event.kind for event in job.events.all()]
    assert kinds == ["moved", "moved", "phase_moved", "moved", "started", "stepped", "evaluated"]
    assert job.live["step"] == 3
    assert job.live["held_out_loss"] == 0.5


def test_progress_within_a_phase_is_not_history() -> None:
    make_job(make_user())
    job = job_claim()
    assert job
    for done in range(5):
        job_record(job, [PhaseMoved(phase="preparing", sentence="Fetching.", done=done, total=5)])
    assert job.events.filter(kind="phase_moved").count() == 1
    assert job.live["done"] == 4
    assert job.state == State.STARTING


def test_a_waiting_job_is_cancelled_at_once() -> None:
    job = make_job(make_user())
    job_cancel(job)
    assert history(job) == ["queued", "cancelled"]
    with pytest.raises(AlreadyOver):
        job_cancel(job)


def test_a_running_job_is_asked_and_then_cancelled() -> None:
    make_job(make_user())
    job = job_claim()
    assert job
    job_cancel(Job.objects.get())
    assert job_record(job, []) == (True, True)
    job_stopped(job, reason="")
    assert history(job) == ["queued", "starting", "cancelled"]


def test_a_job_goes_back_to_the_queue_when_its_worker_is_shut_down() -> None:
    make_job(make_user())
    job = job_claim()
    assert job
    job_stopped(job, reason="Shut down.")
    again = job_claim()
    assert again
    assert again.attempt == 2


def test_a_zombie_can_write_nothing() -> None:
    make_job(make_user())
    zombie = job_claim()
    assert zombie
    job_stopped(Job.objects.get(), reason="")
    assert job_claim()
    assert job_record(zombie, [stepped(5)]) == (False, False)
    assert not Job.objects.get().events.filter(kind="stepped").exists()


def test_a_silent_workers_job_is_rescued_three_times() -> None:
    make_job(make_user())
    for _attempt in range(3):
        assert job_claim()
        assert jobs_rescue_lost(timezone.now()) == 0
        assert jobs_rescue_lost(timezone.now() + timedelta(seconds=61)) == 1
    job = Job.objects.get()
    assert job.state == State.FAILED
    assert job.error is not None
    assert "vanished 3 times" in job.error["message"]


def test_a_deleted_job_leaves_no_files() -> None:
    job = make_job(make_user())
    job_cancel(job)
    folder = storage.job_dir(job.id)
    assert folder.exists()
    job_delete(job)
    assert not folder.exists()
