"""What a person can do with a job, on a real database."""

import pytest

from tests.factories import make_job, make_user
from tests.jobs.made import claim
from webapp import storage
from webapp.jobs.attempts import job_finalize
from webapp.jobs.endings import job_hand_back
from webapp.jobs.models import Asked, Job, Priority, State
from webapp.jobs.queue import queue_now
from webapp.jobs.services import (
    AlreadyOver,
    NoSuchCheckpoint,
    job_cancel,
    job_delete,
    job_keep,
    job_move_in_queue,
    job_pause,
    job_priority_set,
    job_resume,
)

pytestmark = pytest.mark.django_db


def history(job: Job) -> list[str]:
    return [event.data["to"] for event in job.events.filter(kind="moved")]


def test_a_waiting_job_is_cancelled_at_once() -> None:
    job = make_job(make_user())
    job_cancel(job)
    assert history(job) == ["queued", "cancelled"]
    with pytest.raises(AlreadyOver):
        job_cancel(job)


def test_a_waiting_job_is_paused_at_once_and_resumed() -> None:
    job = make_job(make_user())
    job_pause(job)
    assert queue_now() == []
    job_resume(job)
    assert [waiting.id for waiting in queue_now()] == [job.id]
    assert history(job) == ["queued", "paused", "queued"]


def test_a_paused_job_can_be_cancelled() -> None:
    job = make_job(make_user())
    job_pause(job)
    job_cancel(job)
    assert job.state == State.CANCELLED


def test_a_running_job_is_paused_by_its_worker() -> None:
    make_job(make_user())
    job = claim()
    job_pause(Job.objects.get())
    job_hand_back(job, reason="")
    assert job.state == State.PAUSED
    assert job.asked == Asked.NOTHING
    assert job.worker is None


def test_a_cancel_stands_whatever_is_asked_after_it() -> None:
    make_job(make_user())
    job = claim()
    job_cancel(job)
    for verb in (job_pause, job_keep):
        with pytest.raises(AlreadyOver):
            verb(job)
    assert Job.objects.get().asked == Asked.CANCEL


def test_a_job_that_is_being_saved_is_no_longer_stopped() -> None:
    make_job(make_user())
    job = claim()
    assert job_finalize(job)
    for verb in (job_cancel, job_pause, job_keep):
        with pytest.raises(AlreadyOver):
            verb(job)


def test_a_checkpoint_that_is_not_there_is_refused_by_name() -> None:
    job = make_job(make_user())
    job_pause(job)
    with pytest.raises(NoSuchCheckpoint, match="There are: none"):
        job_resume(job, checkpoint="1/step-00000009")
    assert Job.objects.get().state == State.PAUSED


def test_a_person_orders_the_own_queue_without_passing_others() -> None:
    alice, bob = make_user(), make_user("bob")
    jobs = [make_job(owner) for owner in (alice, bob, alice, alice)]
    assert [job.id for job in jobs] == [jobs[0].id, jobs[1].id, jobs[2].id, jobs[3].id]
    job_move_in_queue(jobs[3], "front")
    order = [jobs.index(next(job for job in jobs if job.id == waiting.id)) for waiting in queue_now()]
    assert order == [3, 1, 0, 2]
    job_move_in_queue(jobs[3], "down")
    job_move_in_queue(jobs[3], "down")
    job_move_in_queue(jobs[3], "down")
    job_move_in_queue(jobs[2], "up")
    order = [jobs.index(next(job for job in jobs if job.id == waiting.id)) for waiting in queue_now()]
    assert order == [2, 1, 0, 3]


def test_a_job_that_runs_has_no_place_in_the_queue() -> None:
    make_job(make_user())
    job = claim()
    with pytest.raises(AlreadyOver):
        job_move_in_queue(job, "up")
    with pytest.raises(AlreadyOver):
        job_priority_set(job, Priority.HIGH)


def test_a_deleted_job_leaves_no_files() -> None:
    job = make_job(make_user())
    job_cancel(job)
    folder = storage.job_dir(job.id)
    assert folder.exists()
    job_delete(job)
    assert not folder.exists()
