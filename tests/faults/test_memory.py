"""F26, F27: jobs that poison their worker: always a fault of memory access, always out of memory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_step
from tests.faults.memory_group import MemoryGroup, memory_group
from tests.faults.stack import CELERY, EARNEST, FaultStack, Part, running_faults, until
from tests.processes import is_gone
from webapp.contract.failures import MOST_CRASHES
from webapp.jobs.models import Job, JobAttempt, Outcome, State
from worker import memory_kills as module
from worker.memory_kills import memory_kills, memory_kills_note, memory_kills_since_note

LIMIT_BYTES = 400_000_000
HOG = "steps=6 hog=600"
"""More than the group may have."""


def outcomes(job: Job) -> list[str]:
    return list(JobAttempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True))


def test_a_job_that_always_crashes_stops_with_the_signal_and_the_next_one_runs(
    home: Path, database_url: str, timing: dict[str, str]
) -> None:
    """F26, and with progress in between it is tried again for as long as there is some."""
    with running_faults(home, database_url, **timing) as stack:
        person = Person()
        poison = person.asks("steps=9 crash=1 signal=11")
        limps, good = person.asks("steps=9 seconds=0.1 crash=5 signal=11 once"), person.asks("steps=6")
        until_all_over([poison, limps, good], 180)
        assert [now(job).state for job in (poison, limps, good)] == [State.FAILED, State.SUCCEEDED, State.SUCCEEDED]
        assert outcomes(poison) == [Outcome.CRASHED] * (MOST_CRASHES - 1) + [Outcome.FAILED]
        assert set(JobAttempt.objects.filter(job=poison).values_list("exit_code", flat=True)) == {-11}
        assert poison.error["code"] == "crashed"
        assert "signal 11 (SIGSEGV)" in poison.error["message"] and "third time" in poison.error["message"]
        assert (outcomes(limps), outcomes(good)) == ([Outcome.CRASHED, Outcome.SUCCEEDED], [Outcome.SUCCEEDED])
        check_invariants(stack)


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    with memory_group(LIMIT_BYTES) as made:
        yield made


def start_worker(stack: FaultStack, group: MemoryGroup) -> Part:
    command = group.entering(sys.executable, "-m", "celery", *CELERY.split())
    return stack.start("w1", command, GRAFTWORK_WORKER_NAME="w1")


@pytest.mark.faults
def test_a_job_that_runs_out_of_memory_tries_once_with_half_and_then_says_so(
    home: Path, database_url: str, group: MemoryGroup
) -> None:
    """F26. The kernel really kills; the worker beside its child lives on."""
    with running_faults(home, database_url, workers=0, **EARNEST) as stack:
        worker = start_worker(stack, group)
        person = Person()
        hog, good = person.asks(HOG), person.asks("steps=6")
        until_all_over([hog, good], 90)
        assert (now(hog).state, hog.error["code"], hog.micro_batch_divisor) == (State.FAILED, "out_of_memory", 2)
        assert "The memory ran out" in hog.error["message"]
        assert outcomes(hog) == [Outcome.CRASHED, Outcome.FAILED]
        assert set(JobAttempt.objects.filter(job=hog).values_list("exit_code", flat=True)) == {-9}
        assert (now(good).state, outcomes(good)) == (State.SUCCEEDED, [Outcome.SUCCEEDED])
        assert worker.is_alive
        check_invariants(stack)


@pytest.mark.faults
def test_a_worker_that_memory_took_says_so_when_it_is_back(home: Path, database_url: str, group: MemoryGroup) -> None:
    """F27. The order of the kill is forced: the worker goes before its child."""
    with running_faults(home, database_url, workers=0, **EARNEST) as stack:
        worker = start_worker(stack, group)
        job = Person().asks("steps=60 seconds=0.1")
        until_step(job, 6)
        child = stack.children(job.id)[0]
        group.hog_until_gone(worker.process.pid)
        assert worker.process.wait(20) == -9
        until(lambda: is_gone(child.pid), 5, "the child outlived its worker")
        worker.restart()
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        assert outcomes(job) == [Outcome.LOST, Outcome.SUCCEEDED]
        assert "memory ran out" in JobAttempt.objects.get(job=job, number=1).reason
        check_invariants(stack)


V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
V2 = "low 0\nhigh 0\nmax 12\noom 3\noom_kill {}\noom_group_kill 0\n"


@pytest.mark.parametrize(
    ("path", "content"),
    [("memory.events", V2), ("memory/memory.oom_control", V1)],
    ids=["version 2", "version 1"],
)
def test_kills_are_counted_as_either_version_tells_them(
    path: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_own_group", list)
    monkeypatch.setattr(module, "_V2", tmp_path / "memory.events")
    monkeypatch.setattr(module, "_V1", tmp_path / "memory/memory.oom_control")
    assert memory_kills() == 0
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(content.format(7))
    assert memory_kills() == 7
    note = tmp_path / "run" / "note"
    assert memory_kills_since_note(note) == 0
    memory_kills_note(note)
    assert memory_kills_since_note(note) == 0
    (tmp_path / path).write_text(content.format(9))
    assert memory_kills_since_note(note) == 2
    (tmp_path / path).write_text("something else")
    assert memory_kills_since_note(note) == memory_kills() == 0
