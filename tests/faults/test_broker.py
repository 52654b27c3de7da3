"""The broker dies, is away, freezes, flaps: it costs time, never a job, a worker or a page."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.bench.submit import frozen_latencies, percentile
from tests.faults.jobs import Person, all_succeed, check_invariants, now, until_all_over, until_step
from tests.faults.stack import EARNEST, FaultStack, running_faults, until
from tests.faults.wire import Submitter, until_it_consumes
from webapp.jobs.models import Job, State

RETURNS_SECONDS = 60
"""A broker that is back is heard within this time."""

REDIS = [pytest.param("redis", marks=pytest.mark.faults)] if shutil.which("redis-server") else []


@pytest.fixture(params=["valkey", *REDIS])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test on Valkey, and in the full form on Redis, where the machine has one."""
    if request.param == "redis":
        monkeypatch.setenv("GRAFTWORK_TEST_REDIS", str(shutil.which("redis-server")))
    return str(request.param)


def flap(stack: FaultStack, seconds: float, dice: random.Random) -> int:
    """Kill and start the broker again and again; how often. It stays up at the end."""
    began, num_kills = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        time.sleep(dice.uniform(0.3, 1.2))
        stack.parts["broker"].kill()
        num_kills += 1
        time.sleep(dice.uniform(0.1, 0.6))
        stack.parts["broker"].restart()
    until(stack.broker_answers, 20, "the broker does not come back")
    return num_kills


@pytest.mark.parametrize("seconds, timing", [(10, {}), pytest.param(30, EARNEST, marks=pytest.mark.faults)])
def test_a_broker_that_dies_and_flaps_costs_no_job_and_no_worker(
    home: Path, database_url: str, broker: str, dice: random.Random, seconds: float, timing: dict[str, str]
) -> None:
    """F10, F14: killed with twenty jobs queued, then again about each second."""
    with running_faults(home, database_url, workers=2, **timing) as stack:
        person = Person()
        jobs = [person.asks("steps=4 seconds=0.05") for _ in range(20)]
        until(lambda: Job.objects.filter(state=State.SUCCEEDED).count() >= 2, 60, "no job runs")
        stack.parts["broker"].kill()
        stack.parts["broker"].restart()
        assert flap(stack, seconds, dice) >= 4
        all_succeed(stack, jobs, 90)
        until_it_consumes(stack, stack.parts["w1"], RETURNS_SECONDS)


@pytest.mark.parametrize("seconds, timing", [(15, {}), pytest.param(600, EARNEST, marks=pytest.mark.faults)])
def test_without_a_broker_jobs_are_accepted_and_run_and_workers_come_and_go(
    home: Path, database_url: str, seconds: float, timing: dict[str, str]
) -> None:
    """F11, F12."""
    with running_faults(home, database_url, web=True, **timing) as stack:
        person = Submitter(stack)
        running = person.submits("steps=120 seconds=0.1")
        until_step(running, 4)
        stack.parts["broker"].kill()
        began = time.monotonic()
        stack.start_worker("w2")
        jobs = [running, *(person.submits("steps=4") for _ in range(3))]
        until_all_over(jobs[1:], 60)
        assert now(running).attempt == 1, running.state
        leaving = person.submits("steps=200 seconds=0.1")
        until_step(leaving, 4)
        assert stack.parts["w2"].end(60) == 0
        assert now(leaving).crash_count == 0
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        stack.parts["broker"].restart()
        until(stack.broker_answers, 20, "the broker does not come back")
        until_it_consumes(stack, stack.parts["w1"], RETURNS_SECONDS)
        stack.parts["broker"].send(signal.SIGSTOP)
        for _ in range(5):
            person.submits("steps=2")  # answered although the broker stays frozen
        stack.parts["broker"].send(signal.SIGCONT)
        until_it_consumes(stack, stack.parts["w1"], RETURNS_SECONDS)
        until_all_over(Job.objects.all(), 90)
        assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED}
        check_invariants(stack)


def seconds_to_submit(person: Submitter) -> float:
    began = time.monotonic()
    person.submits("steps=2")
    return time.monotonic() - began


@pytest.mark.faults
def test_a_frozen_broker_leaves_a_worker_free_to_go(home: Path, database_url: str, broker: str) -> None:
    with running_faults(home, database_url) as stack:
        job = Person().asks("steps=300 seconds=0.1")
        until_step(job, 4)
        stack.parts["broker"].send(signal.SIGSTOP)
        assert stack.parts["w1"].end(60) == 0
        assert (now(job).state, job.crash_count) == (State.QUEUED, 0)


@pytest.mark.faults
def test_a_hundred_submissions_to_a_frozen_broker_take_less_than_two_seconds_each(
    home: Path, either_database_url: str, broker: str
) -> None:
    """F12, with the bound that is promised."""
    with running_faults(home, either_database_url, workers=0, web=True) as stack:
        ordered = frozen_latencies(stack, Submitter(stack), 100)
        assert percentile(ordered, 99) < 2, f"the slowest: {ordered[-5:]}"
