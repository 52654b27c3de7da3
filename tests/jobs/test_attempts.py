"""What workers do with jobs, on a real database."""

from datetime import timedelta

import pytest

from tests.factories import make_job, make_user, make_worker
from tests.jobs.made import STARTED, claim, stepped
from webapp.clock import database_now
from webapp.contract.events import Evaluated, PhaseMoved
from webapp.jobs.attempts import job_claim, job_finalize, job_record
from webapp.jobs.endings import Ending, job_crashed, job_fail, job_hand_back, job_out_of_memory, worker_jobs_release
from webapp.jobs.models import Asked, Job, JobAttempt, Outcome, State
from webapp.jobs.reconcile import deadlines_pass, leases_expire
from webapp.jobs.services import job_cancel, job_keep, job_pause

pytestmark = pytest.mark.django_db

CRASH = Ending("crashed", "It crashed.", exit_code=-11)


def history(job: Job) -> list[str]:
    return [event.data["to"] for event in job.events.filter(kind="moved")]


def waits_no_longer() -> None:
    """The pause after a crash is over."""
    Job.objects.update(not_before=None)


def test_one_worker_gets_the_oldest_job() -> None:
    alice = make_user()
    first, second = make_job(alice), make_job(alice)
    taken = [job_claim(make_worker(name)) for name in ("one", "two", "three")]
    assert [job and job.id for job in taken] == [first.id, second.id, None]


def test_a_stale_view_of_a_job_cannot_move_it() -> None:
    make_job(make_user())
    stale = claim()
    job_hand_back(Job.objects.get(), reason="")
    claim("two")
    assert not job_fail(stale, CRASH)
    assert Job.objects.get().state == State.STARTING


def test_events_become_figures_and_history() -> None:
    make_job(make_user())
    job = claim()
    job_record(job, [PhaseMoved(phase="loading", sentence="Loading.")])
    assert job.state == State.RUNNING
    job_record(job, [STARTED, stepped(1), stepped(2), stepped(3), Evaluated(step=3, epoch=1, loss=0.5)])
    kinds = [event.kind for event in job.events.all()]
    assert kinds == ["moved", "moved", "phase_moved", "moved", "started", "stepped", "evaluated"]
    assert job.live["step"] == 3
    assert job.live["held_out_loss"] == 0.5


def test_progress_within_a_phase_is_not_history() -> None:
    make_job(make_user())
    job = claim()
    for done in range(5):
        job_record(job, [PhaseMoved(phase="preparing", sentence="Fetching.", done=done, total=5)])
    assert job.events.filter(kind="phase_moved").count() == 1
    assert job.live["done"] == 4
    assert job.state == State.STARTING


def test_events_that_were_stored_though_the_caller_saw_an_error_are_not_stored_again() -> None:
    make_job(make_user())
    job = claim()
    events = [PhaseMoved(phase="training", sentence="Training."), stepped(1)]
    job_record(job, list(events), first=0)
    job_record(job, [*events, stepped(2)], first=0)
    assert [event.data["step"] for event in job.events.filter(kind="stepped")] == [1, 2]


def test_a_running_job_is_asked_and_then_cancelled() -> None:
    make_job(make_user())
    job = claim()
    job_cancel(Job.objects.get())
    assert job_record(job, []) == (True, Asked.CANCEL)
    job_hand_back(job, reason="")
    assert history(job) == ["queued", "starting", "cancelled"]


def test_a_cancel_in_the_last_moment_keeps_nothing() -> None:
    make_job(make_user())
    job = claim()
    job_cancel(Job.objects.get())
    assert not job_finalize(job)


def test_a_job_goes_back_to_the_queue_when_its_worker_is_shut_down() -> None:
    make_job(make_user())
    job_hand_back(claim(), reason="Shut down.")
    again = claim()
    assert (again.attempt, again.crash_count) == (2, 0)
    assert [attempt.outcome for attempt in JobAttempt.objects.all()] == [Outcome.HANDED_BACK, Outcome.RUNNING]


def test_a_wish_to_keep_outlives_the_worker() -> None:
    make_job(make_user())
    job = claim()
    job_keep(job)
    job_hand_back(job, reason="Shut down.")
    assert job_record(claim(), []).asked == Asked.KEEP


def test_a_pause_outlives_a_crash() -> None:
    make_job(make_user())
    job = claim()
    job_pause(job)
    job_crashed(job, CRASH)
    assert job.state == State.PAUSED


def test_a_zombie_can_write_nothing() -> None:
    make_job(make_user())
    zombie = claim()
    job_hand_back(Job.objects.get(), reason="")
    claim("two")
    assert not job_record(zombie, [stepped(5)]).is_mine
    assert not Job.objects.get().events.filter(kind="stepped").exists()


def test_a_silent_workers_job_is_rescued_and_stops_at_the_third_time() -> None:
    make_job(make_user())
    for _attempt in range(3):
        waits_no_longer()
        claim()
        assert leases_expire(database_now()) == 0
        assert leases_expire(database_now() + timedelta(seconds=61)) == 1
    job = Job.objects.get()
    assert job.state == State.FAILED
    assert job.error is not None
    assert job.error["code"] == "worker_lost"
    assert "third time" in job.error["message"]
    assert {attempt.outcome for attempt in job.attempts.all()} == {Outcome.LOST}


def test_a_renewal_between_look_and_move_keeps_the_job() -> None:
    """The sweep saw an old lease; the worker renewed it before the sweep could act."""
    make_job(make_user())
    job = claim()
    Job.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))
    seen = Job.objects.get()
    job_record(job, [])
    from webapp.jobs.reconcile import VANISHED, _unchanged

    assert not job_crashed(seen, VANISHED, guard=_unchanged(seen))
    assert Job.objects.get().state == State.STARTING


def test_a_job_of_an_older_version_without_a_lease_is_rescued_too() -> None:
    make_job(make_user())
    claim()
    Job.objects.update(lease_expires_at=None, heartbeat_at=database_now() - timedelta(minutes=5))
    assert leases_expire(database_now()) == 1


def test_getting_ready_does_not_take_for_ever() -> None:
    make_job(make_user())
    job = claim()
    assert deadlines_pass(database_now()) == 0
    assert deadlines_pass(database_now() + timedelta(minutes=31)) == 1
    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_memory_that_ran_out_halves_the_micro_batch_once() -> None:
    make_job(make_user())
    job_out_of_memory(claim(), CRASH._replace(code="out_of_memory"))
    again = claim()
    assert (again.micro_batch_divisor, again.crash_count) == (2, 0)
    job_out_of_memory(again, CRASH._replace(code="out_of_memory", message="Memory ran out."))
    assert again.state == State.FAILED
    assert again.error is not None
    assert again.error["code"] == "out_of_memory"


def test_after_a_crash_the_job_waits_a_little_before_it_is_taken_again() -> None:
    make_job(make_user())
    job_crashed(claim(), CRASH)
    assert job_claim(make_worker()) is None
    waits_no_longer()
    assert job_claim(make_worker())


def test_a_restarted_worker_gives_back_what_it_held() -> None:
    make_job(make_user())
    claim()
    assert worker_jobs_release(make_worker("two")) == 0
    assert worker_jobs_release(make_worker("one")) == 1
    assert Job.objects.get().state == State.QUEUED
