"""On a busy machine a job's threads sleep while they wait, on a quiet one they spin; its numbers are the same."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import torch

from tests.engine.here import Attempt, lay_job
from tests.stack import PROJECT, environment_of_a_person
from webapp.contract.events import Event, read_events
from webapp.contract.job_dir import EVENTS
from worker.engine import wait_policy
from worker.engine.__main__ import run
from worker.engine.kernels.loops import openmp_parallel
from worker.engine.stop import never
from worker.engine.wait_policy import BusyDetector, ProcessorTime, adapted_waiting, cores_of_others

COUNT_SLEEPS = """
import time
from pathlib import Path
import torch
from worker.engine.kernels.loops import openmp_parallel
from worker.engine.wait_policy import SleepingTeam

torch.set_num_threads(2)
numbers = torch.zeros(10**6)

def sleeps():
    tasks = [path.read_text() for path in Path("/proc/self/task").glob("*/status")]
    return sum(int(text.split("\\nvoluntary_ctxt_switches:")[1].split()[0]) for text in tasks) - sleeps_of_main()

def sleeps_of_main():
    return int(Path("/proc/thread-self/status").read_text().split("\\nvoluntary_ctxt_switches:")[1].split()[0])

def sleeps_of_regions():
    before = sleeps()
    for _ in range(100):
        numbers.add_(1)
        time.sleep(0.002)
    return sleeps() - before

sleeps_of_regions()
found = [sleeps_of_regions()]
team = SleepingTeam(openmp_parallel(), 64)
found.append(sleeps_of_regions())
team.end()
sleeps_of_regions()
found.append(sleeps_of_regions())
print(*found)
"""
"""Prints how often OpenMP's other thread slept in 100 parallel regions: before, with, and after a sleeping team. It
spins for ever where it spins, by GOMP_SPINCOUNT, so that the counts do not depend on how quick the machine is."""


def test_a_sleeping_team_is_the_switch_and_its_end_switches_back() -> None:
    process = subprocess.run(
        [sys.executable, "-c", COUNT_SLEEPS],
        cwd=PROJECT,
        env={**environment_of_a_person(), "GOMP_SPINCOUNT": "30000000000", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    before, asleep, after = map(int, process.stdout.split())
    assert before < 10 and after < 10 and asleep > 90


def test_others_are_what_everybody_took_less_what_we_did() -> None:
    before = ProcessorTime(clock=10.0, everybody=100.0, own=50.0)
    assert cores_of_others(before, ProcessorTime(12.0, 104.0, 52.0)) == 1.0
    assert cores_of_others(before, ProcessorTime(12.0, 103.9, 54.0)) == 0.0


def test_it_is_busy_at_once_and_quiet_only_after_a_while() -> None:
    detector = BusyDetector(num_processors=2, num_threads=2)
    assert not detector.update(0.3)
    assert detector.update(1.0)
    assert all(detector.update(0.0) for _ in range(wait_policy.QUIET_SAMPLES - 1))
    assert not detector.update(0.0)


def test_a_pause_of_the_others_starts_the_wait_for_quiet_again() -> None:
    detector = BusyDetector(num_processors=2, num_threads=2)
    assert all(detector.update(others) for others in (1.0, *[0.0] * 4, 0.3, *[0.0] * 4))


def test_what_others_take_of_spare_processors_is_in_nobodys_way() -> None:
    detector = BusyDetector(num_processors=8, num_threads=4)
    assert not detector.update(3.9)
    assert detector.update(5.0)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def changing_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others come and go many times a second."""
    monkeypatch.setattr(wait_policy, "SAMPLE_SECONDS", 0.005)
    monkeypatch.setattr(wait_policy, "FIRST_SAMPLE_SECONDS", 0.001)
    monkeypatch.setattr(wait_policy, "QUIET_SAMPLES", 1)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    loads = cycle([1.0 + len(wait_policy._processors()), 0.0])
    monkeypatch.setattr(wait_policy, "cores_of_others", lambda _before, _now: next(loads))


def test_a_job_computes_the_same_numbers_however_its_threads_wait(
    tmp_path: Path, two_threads: None, changing_load: None
) -> None:
    alone = Attempt(lay_job(tmp_path))
    changes: list[Event] = []
    with adapted_waiting(changes.append):
        beside_others = Attempt(lay_job(tmp_path))
    assert {event.policy for event in changes if event.kind == "wait_policy_changed"} == {"sleep", "spin"}
    assert alone.trace == beside_others.trace
    assert alone.watched == beside_others.watched
    for name, weight in alone.weights.items():
        assert torch.equal(weight, beside_others.weights[name])


def test_the_events_of_a_job_say_how_its_threads_wait(tmp_path: Path, two_threads: None, changing_load: None) -> None:
    job_dir = lay_job(tmp_path)
    told: list[Event] = []
    assert run(job_dir, never, told.append) == 0
    changes = [event for event in told if event.kind == "wait_policy_changed"]
    assert [event.policy for event in changes[:2]] == ["sleep", "spin"]
    assert len(changes) <= wait_policy.MOST_EVENTS
    assert read_events(job_dir / EVENTS) == ([], 0)


@pytest.mark.parametrize("variable", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_a_policy_that_a_person_has_set_is_kept(
    monkeypatch: pytest.MonkeyPatch, two_threads: None, changing_load: None, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(wait_policy, "_watch", lambda *_: pytest.fail("it watches"))
    with adapted_waiting(lambda _event: None):
        assert openmp_parallel() is not None
