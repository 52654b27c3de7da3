"""Accepting a job, on a real database."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.factories import MINILM, make_job, make_recipe, make_starter, make_user, make_version
from tests.jobs.made import make_failed
from webapp import storage
from webapp.jobs.accept import CannotTrain, job_create, job_retry
from webapp.jobs.models import Job, State

pytestmark = pytest.mark.django_db


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


def test_the_same_key_makes_one_job() -> None:
    alice, bob = make_user(), make_user("bob")
    version, base_model = make_version(alice), make_starter()
    ask = {"name": "x", "base_model": base_model, "recipe": make_recipe(), "idempotency_key": "one"}
    first = job_create(alice, dataset_version=version, **ask)
    assert job_create(alice, dataset_version=version, **ask).id == first.id
    assert job_create(bob, dataset_version=make_version(bob), **ask).id != first.id
    assert len(list(storage.jobs_dir().iterdir())) == 2


def test_a_retry_trains_the_same_rows_on_the_same_sides() -> None:
    failed = make_failed(make_user(), "data")
    again = job_retry(failed, failed.owner)
    assert (again.state, again.parent_id, again.attempt) == (State.QUEUED, failed.id, 0)
    assert again.split_sha256 == failed.split_sha256
    assert storage.job_rows_path(again.id).samefile(storage.job_rows_path(failed.id))
