"""Checkpoints past their use go, the others stay."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests.factories import make_job, make_user
from tests.jobs.made import lay_checkpoint
from webapp.jobs.checkpoints import checkpoints_of
from webapp.jobs.models import Job, State
from webapp.upkeep.stray_files import part_files_remove
from webapp.upkeep.tidy import old_checkpoints_remove

pytestmark = pytest.mark.django_db


def attempts_with_checkpoints(job: Job) -> set[str]:
    return {one.folder.parent.parent.name for one in checkpoints_of(job)}


def test_an_ended_jobs_checkpoints_stay_for_a_month() -> None:
    now = timezone.now()
    job = make_job(make_user(), state=State.FAILED, attempt=1, finished_at=now)
    lay_checkpoint(job, 40, attempt=1)
    old_checkpoints_remove(now + timedelta(days=29))
    assert attempts_with_checkpoints(job) == {"1"}
    old_checkpoints_remove(now + timedelta(days=31))
    assert attempts_with_checkpoints(job) == set()


def test_of_a_job_that_goes_on_the_last_two_attempts_count_and_the_chosen_one() -> None:
    job = make_job(make_user(), attempt=5, resume_from="1/step-00000010")
    for attempt in (1, 2, 3, 5):
        lay_checkpoint(job, attempt * 10, attempt=attempt)
    old_checkpoints_remove(timezone.now())
    assert attempts_with_checkpoints(job) == {"1", "3", "5"}


PARTS = ["uploads/x.part", "datasets/x/rows.part", "jobs/x/rows.part", "incoming/abc.upload.csv"]


@pytest.mark.parametrize("name", PARTS)
def test_what_was_never_written_to_its_end_goes_after_an_hour(data_dir: Path, name: str) -> None:
    old, being_written = data_dir / name, data_dir / name.replace("x", "y").replace("abc", "def")
    for path, minutes in ((old, 61), (being_written, 59)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a row")
        os.utime(path, (time.time() - 60 * minutes,) * 2)
    finished = data_dir / "uploads" / "whole"
    finished.parent.mkdir(exist_ok=True)
    finished.touch()
    os.utime(finished, (time.time() - 3700,) * 2)
    part_files_remove()
    assert (old.exists(), being_written.exists(), finished.exists()) == (False, True, True)
