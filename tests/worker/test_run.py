"""What becomes of a job by how its training process ended."""

import pytest

from tests.factories import make_job, make_user
from tests.jobs.made import claim
from webapp.contract.events import Failed
from webapp.jobs.models import Job, Outcome, State
from webapp.jobs.services import job_cancel, job_keep, job_pause
from worker.engine.child import CRASHED, FAILED, STOPPED
from worker.run import Run, Slot
from worker.supervisor import Outcome as Ended

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    make_job(make_user())
    return Run(claim(), Slot(0, -1, {}), lambda: ("go_on", ""))


def ended_with(run: Run, ended: Ended, failure: Failed | None = None) -> Job:
    run.failure = failure
    assert run._close(ended)
    return run.job


def code_of(job: Job) -> str:
    return str((job.error or {}).get("code", ""))


@pytest.mark.parametrize(
    "ended",
    [Ended(-9, "go_on"), Ended(-11, "go_on"), Ended(7, "go_on"), Ended(-9, "keep"), Ended(-9, "go_on", "stalled")],
)
def test_a_death_of_its_own_counts_and_is_tried_again(run: Run, ended: Ended) -> None:
    job = ended_with(run, ended)
    assert (job.state, job.crash_count) == (State.QUEUED, 1)
    attempt = job.attempts.get()
    assert (attempt.outcome, attempt.exit_code) == (Outcome.CRASHED, ended.exit_code)


def test_one_that_dies_while_it_keeps_is_still_asked_to_keep(run: Run) -> None:
    job_keep(run.job)
    assert ended_with(run, Ended(-9, "keep")).asked == "keep"


@pytest.mark.parametrize("ended", [Ended(STOPPED, "stop"), Ended(-9, "stop", "deaf")])
def test_one_that_was_told_to_stop_goes_back_without_a_mark(run: Run, ended: Ended) -> None:
    job = ended_with(run, ended)
    assert (job.state, job.crash_count) == (State.QUEUED, 0)


def test_a_person_who_paused_finds_it_paused(run: Run) -> None:
    job_pause(run.job)
    assert ended_with(run, Ended(STOPPED, "stop")).state == State.PAUSED


def test_a_person_who_cancelled_finds_it_cancelled_however_it_ended(run: Run) -> None:
    job_cancel(run.job)
    assert ended_with(run, Ended(-9, "cancel", "deaf")).state == State.CANCELLED


@pytest.mark.parametrize("code", ["data", "loss_not_finite", "base_model", "our_bug"])
def test_what_another_try_would_not_cure_fails_at_once(run: Run, code: str) -> None:
    failed = Failed(code=code, message="It said why.", evidence="line 3")  # type: ignore[arg-type]
    job = ended_with(run, Ended(CRASHED if code == "our_bug" else FAILED, "go_on"), failed)
    assert (job.state, code_of(job)) == (State.FAILED, code)


def test_a_full_disk_hands_the_job_back(run: Run) -> None:
    job = ended_with(run, Ended(FAILED, "go_on"), Failed(code="storage_full", message="Full."))
    assert (job.state, job.crash_count) == (State.QUEUED, 1)


def test_memory_that_ran_out_by_its_own_word_or_the_kernels_halves_the_micro_batch(run: Run) -> None:
    job = ended_with(run, Ended(-9, "go_on", out_of_memory=True))
    assert (job.state, job.micro_batch_divisor) == (State.QUEUED, 2)


def test_the_time_limit_fails_with_its_own_code(run: Run) -> None:
    run.time_is_up = True
    run.job.time_limit_seconds = 1800
    job = ended_with(run, Ended(STOPPED, "stop"))
    assert (job.state, code_of(job)) == (State.FAILED, "time_limit")
    assert "0.5 hours" in job.error["message"]  # type: ignore[index]
