"""`manage.py up` whose parts, or which itself, is killed: F33. Nothing is left running, nothing is lost."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from django.conf import settings

from tests.databases import using_database
from tests.faults.jobs import Person, now, until_all_over, until_step
from tests.faults.stack import QUICK, until, words_of
from tests.local.processes import processes_of, wait_until_gone
from tests.stack import RunningStack, running_stack
from webapp.jobs.models import State

PARTS = {"web": "uvicorn", "worker": "celery", "valkey": "valkey-server"}


@contextmanager
def looking_at(home: Path) -> Iterator[None]:
    """The test sees the database that the stack uses."""
    before = settings.DATA_DIR
    settings.DATA_DIR = home
    try:
        with using_database(f"sqlite:///{home / 'graftwork.sqlite3'}", migrate=False):
            yield
    finally:
        settings.DATA_DIR = before


def part_of(home: Path, name: str) -> psutil.Process | None:
    """The part itself: the one child of the leash that holds it."""
    for process in processes_of(home):
        words = words_of(process)
        if "webapp.local.leash" in words and any(PARTS[name] in word for word in words):
            with suppress(psutil.NoSuchProcess):
                return next(iter(process.children()), None)
    return None


def quick_stack(home: Path) -> AbstractContextManager[RunningStack]:
    timings = {f"GRAFTWORK_{name}_SECONDS": seconds for name, seconds in QUICK.items()}
    return running_stack(home, GRAFTWORK_ENGINE_MODULE="tests.faults.stub_engine", **timings)


def test_a_part_that_is_killed_is_started_again_and_the_job_goes_on(home: Path) -> None:
    with quick_stack(home) as stack, looking_at(home):
        job = Person().asks("steps=100 seconds=0.1")
        until_step(job, 4)
        for name in ("valkey", "web", "worker"):
            part = part_of(home, name)
            assert part is not None
            part.kill()
            until(lambda name=name, part=part: part_of(home, name) not in (None, part), 20, f"{name} did not come back")
        until(lambda: answers(stack), 20, "the web does not answer")
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        assert job.attempt == 2


def test_a_launcher_that_is_killed_takes_all_with_it_and_the_next_one_goes_on(home: Path) -> None:
    with quick_stack(home) as stack:
        with looking_at(home):
            job = Person().asks("steps=60 seconds=0.1")
            until_step(job, 4)
        stack.process.kill()
        wait_until_gone(home)
    with quick_stack(home), looking_at(home):
        until_all_over([job], 60)
        assert now(job).state == State.SUCCEEDED
        assert job.events.filter(kind="started").count() == 2


def test_ctrl_c_twice_ends_all_and_hands_the_job_back(home: Path) -> None:
    with quick_stack(home) as stack, looking_at(home):
        job = Person().asks("steps=300 seconds=0.1")
        until_step(job, 4)
        stack.process.send_signal(signal.SIGINT)
        os.kill(stack.process.pid, signal.SIGINT)
        assert stack.process.wait(20) in (0, 1, -signal.SIGINT, 130)
        wait_until_gone(home)
        assert now(job).state in (State.QUEUED, State.STARTING, State.RUNNING)
        assert not job.is_over


def answers(stack: RunningStack) -> bool:
    try:
        return httpx.get(stack.url, follow_redirects=True).status_code == 200
    except httpx.HTTPError:
        return False


def has_ended(stack: RunningStack) -> bool:
    return stack.process.poll() is not None


def test_a_part_that_cannot_live_stops_the_stack_with_a_sentence(home: Path) -> None:
    with quick_stack(home) as stack:
        for _ in range(8):
            part = part_of(home, "valkey")
            if part is not None:
                part.kill()
            until(
                lambda part=part: stack.process.poll() is not None or part_of(home, "valkey") not in (None, part),
                20,
                "",
            )
            if has_ended(stack):
                break
        assert stack.process.wait(20) == 1
        assert stack.process.stdout is not None
        assert "The valkey ended 5 times within a minute" in stack.process.stdout.read()
        wait_until_gone(home)
