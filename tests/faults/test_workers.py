"""Workers and training processes that are killed, frozen and told to go: F1 to F7, F29, F30."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_state, until_step
from tests.faults.stack import EARNEST, FaultStack, processes_of, running_faults, until, words_of
from tests.processes import is_gone
from webapp.jobs.models import Job, JobAttempt, Outcome, State
from webapp.jobs.services import job_cancel, job_pause, job_resume

LONG = "steps=40 seconds=0.1"


def child_of(stack: FaultStack, job: Job) -> psutil.Process:
    until(lambda: stack.children(job.id), 30, "no training process")
    return stack.children(job.id)[0]


def outcomes(job: Job) -> list[str]:
    return list(JobAttempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True))


def test_a_killed_training_process_is_noticed_at_once_and_resumed(
    home: Path, either_database_url: str, dice: random.Random
) -> None:
    """F1."""
    with running_faults(home, either_database_url) as stack:
        job = Person().asks(LONG)
        until_step(job, dice.randint(4, 20))
        child_of(stack, job).send_signal(signal.SIGKILL)
        until(lambda: now(job).attempt == 1 and job.state == State.QUEUED, 5, "the death was not noticed")
        assert job.progress_step >= 2
        until_all_over([job], 60)
        assert (job.refresh_from_db(), job.state) == (None, State.SUCCEEDED)
        assert outcomes(job) == [Outcome.CRASHED, Outcome.SUCCEEDED]
        check_invariants(stack)


@pytest.mark.parametrize("with_child", [False, pytest.param(True, marks=pytest.mark.faults)])
def test_another_worker_takes_over_from_one_that_was_killed(
    home: Path, either_database_url: str, with_child: bool
) -> None:
    """F2, F3."""
    with running_faults(home, either_database_url) as stack:
        job = Person().asks(LONG)
        until_step(job, 6)
        child = child_of(stack, job)
        stack.start_worker("w2")
        stack.parts["w1"].kill()
        if with_child:
            child.kill()
        until(lambda: is_gone(child.pid), 2, "the child outlived its worker")
        until(lambda: now(job).attempt == 2, 15, "nobody took over")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        assert outcomes(job) == [Outcome.LOST, Outcome.SUCCEEDED]
        check_invariants(stack)


@pytest.mark.faults
@pytest.mark.parametrize("kill_host", [False, True])
def test_a_dead_worker_is_noticed_in_time_with_the_timings_of_earnest(
    home: Path, either_database_url: str, dice: random.Random, kill_host: bool
) -> None:
    """P4: within 75 s, and the job goes on from its last checkpoint. With its host goes the one that swept, too."""
    with running_faults(home, either_database_url, workers=2, **EARNEST) as stack:
        job = Person().asks("steps=400 seconds=0.1")
        until_step(job, dice.randint(10, 60))
        assert job.worker is not None
        stack.parts[job.worker.name].kill()
        if kill_host:
            for child in stack.children(job.id):
                child.kill()
        took = until(lambda: outcomes(job)[:1] == [Outcome.LOST], 75, "a dead worker was not noticed")
        print(f"noticed after {took:.1f} s")  # noqa: T201
        until_all_over([job], 120)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)


def test_a_worker_that_starts_again_takes_its_job_up_without_waiting_for_the_lease(
    home: Path, database_url: str
) -> None:
    with running_faults(home, database_url, GRAFTWORK_LEASE_SECONDS="60") as stack:
        job = Person().asks(LONG)
        until_step(job, 6)
        stack.parts["w1"].kill()
        stack.parts["w1"].restart()
        until(lambda: outcomes(job)[:1] == [Outcome.LOST], 20, "the restarted worker kept the old attempt")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)


def test_a_frozen_worker_is_a_zombie_when_it_wakes(home: Path, any_database_url: str) -> None:
    """F4."""
    with running_faults(home, any_database_url) as stack:
        job = Person().asks("steps=100 seconds=0.1")
        until_step(job, 6)
        child = child_of(stack, job)
        stack.start_worker("w2")
        stack.parts["w1"].freeze()
        until(lambda: now(job).attempt == 2, 20, "nobody took over")
        stack.parts["w1"].send(signal.SIGCONT)
        until(lambda: is_gone(child.pid), 10, "the zombie's child trains on")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        assert not job.events.filter(attempt=1, kind="finished").exists()
        check_invariants(stack)


def test_a_training_process_that_stands_still_is_ended(home: Path, database_url: str) -> None:
    """F5, with a process that hangs, and with one that is frozen."""
    with running_faults(home, database_url, workers=2, GRAFTWORK_STALL_SECONDS="3") as stack:
        person = Person()
        hangs, frozen = person.asks("steps=12 stall=7"), person.asks(LONG)
        until_step(frozen, 6)
        child_of(stack, frozen).send_signal(signal.SIGSTOP)
        until_all_over([hangs, frozen], 90)
        for job in (hangs, frozen):
            assert now(job).state == State.SUCCEEDED
            assert outcomes(job)[0] == Outcome.CRASHED
            assert "stood still" in JobAttempt.objects.get(job=job, number=1).reason
        check_invariants(stack)


def test_a_worker_told_to_go_hands_its_job_back_without_a_mark(home: Path, any_database_url: str) -> None:
    """F6."""
    with running_faults(home, any_database_url) as stack:
        job = Person().asks(LONG)
        until_step(job, 7)
        assert stack.parts["w1"].end() == 0
        assert (now(job).state, job.crash_count, outcomes(job)) == (State.QUEUED, 0, [Outcome.HANDED_BACK])
        assert job.progress_step >= 7
        stack.start_worker("w2")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)


def test_a_worker_told_twice_and_then_killed_loses_no_checkpoint(home: Path, database_url: str) -> None:
    """F7. The child is deaf, so that the worker really waits for it."""
    with running_faults(home, database_url) as stack:
        job = Person().asks(f"{LONG} deaf")
        until_step(job, 7)
        worker = stack.parts["w1"]
        worker.send(signal.SIGTERM)
        time.sleep(0.5)
        worker.send(signal.SIGTERM)
        time.sleep(0.5)
        worker.kill()
        stack.start_worker("w2")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)


def test_a_deaf_child_is_killed_after_the_grace(home: Path, database_url: str) -> None:
    """F29."""
    with running_faults(home, database_url) as stack:
        job = Person().asks("steps=500 seconds=0.1 deaf")
        until_step(job, 4)
        job_cancel(job)
        until_state(job, State.CANCELLED, seconds=15)
        assert stack.children(job.id) == []
        check_invariants(stack)


def test_no_grandchild_is_left_behind(home: Path, database_url: str) -> None:
    """F30, after the end of the child, of the worker, and of both in order."""
    with running_faults(home, database_url) as stack:
        person = Person()
        killed = person.asks("steps=40 seconds=0.1 grandchild")
        until_step(killed, 4)
        assert grandchildren(home)
        child_of(stack, killed).kill()
        until(lambda: not grandchildren(home), 5, "a grandchild outlived the child")
        until(lambda: now(killed).attempt == 2, 30, "not taken up again")
        until_step(killed, 4)
        stack.parts["w1"].kill()
        until(lambda: not grandchildren(home), 5, "a grandchild outlived the worker")
        stack.parts["w1"].restart()
        until_all_over([killed], 60)
        until(lambda: not grandchildren(home), 5, "a grandchild outlived a job that ended well")
        check_invariants(stack)


def grandchildren(home: Path) -> list[psutil.Process]:
    return [one for one in processes_of(home) if "time.sleep(600)" in " ".join(words_of(one))]


def test_pause_and_resume_train_every_step_once(home: Path, database_url: str) -> None:
    with running_faults(home, database_url) as stack:
        job = Person().asks("steps=40 seconds=0.1")
        until_step(job, 5)
        job_pause(job)
        until_state(job, State.PAUSED, seconds=15)
        assert stack.children(job.id) == []
        job_resume(now(job))
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)


def test_two_workers_on_one_machine_have_a_slot_each(home: Path, database_url: str) -> None:
    with running_faults(home, database_url, workers=2) as stack:
        person = Person()
        jobs = [person.asks(LONG) for _ in range(3)]
        until(lambda: Job.objects.active().count() == 2, 30, "not both workers work")
        assert len(list((home / "run").glob("slot-*.lock"))) == 2
        until_all_over(jobs, 90)
        assert {attempt.worker.name for attempt in JobAttempt.objects.all() if attempt.worker} == {"w1", "w2"}
        check_invariants(stack)


def test_a_slot_waits_for_the_orphan_of_a_killed_worker(home: Path, database_url: str) -> None:
    """The orphan is frozen, so that it does not notice the end of its worker; its slot's lock stays with it."""
    with running_faults(home, database_url) as stack:
        person = Person()
        job = person.asks(LONG)
        until_step(job, 6)
        orphan = child_of(stack, job)
        orphan.send_signal(signal.SIGSTOP)
        stack.parts["w1"].kill()
        stack.parts["w1"].restart()
        until(lambda: "held by another process" in stack.parts["w1"].log, 20, "the lock was not seen")
        assert now(job).attempt == 1
        os.kill(orphan.pid, signal.SIGCONT)
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        check_invariants(stack)
