"""Cancelling at any moment: waiting, being claimed, starting, between steps, checkpointing, being saved (F28)."""

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connection

from tests.faults.jobs import Person, check_invariants, until_all_over
from tests.faults.stack import FaultStack, running_faults
from webapp.adapters.models import AdapterVersion
from webapp.jobs.models import OVER, Job, State
from webapp.jobs.services import AlreadyOver, job_cancel

AT_ONCE = 4


def cancel_at_random(person: Person, delay: float) -> float:
    """Ask for a job, cancel it after `delay` seconds; returns the seconds from the cancel to the job's end."""
    try:
        job = person.asks("steps=14 seconds=0.1")
        time.sleep(delay)
        job.refresh_from_db()
        began = time.monotonic()
        with suppress(AlreadyOver):
            job_cancel(job)
        while Job.objects.values_list("state", flat=True).get(id=job.id) not in OVER:
            assert time.monotonic() - began < 60, job.id
            time.sleep(0.05)
        return time.monotonic() - began
    finally:
        connection.close()


def random_cancels(stack: FaultStack, dice: random.Random, how_many: int) -> list[float]:
    person = Person()
    delays = [dice.uniform(0, 4) for _ in range(how_many)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seconds = list(pool.map(lambda delay: cancel_at_random(person, delay), delays))
    jobs = list(Job.objects.all())
    until_all_over(jobs, 30)
    kept = set(AdapterVersion.objects.values_list("job_id", flat=True))
    assert kept == {job.id for job in jobs if job.state == State.SUCCEEDED}
    check_invariants(stack)
    return seconds


def test_a_cancelled_job_ends_and_keeps_nothing(home: Path, database_url: str, dice: random.Random) -> None:
    with running_faults(home, database_url, workers=2) as stack:
        seconds = random_cancels(stack, dice, 24)
        # How many were faster than their cancel depends on the machine; some of either kind there must be.
        assert Job.objects.filter(state=State.CANCELLED).count() >= 4
        assert max(seconds) < 20


@pytest.mark.faults
def test_two_hundred_cancels_in_earnest(home: Path, either_database_url: str, dice: random.Random) -> None:
    """P5, with the timings that are shipped: within 45 s, all of them."""
    earnest = {"HEARTBEAT": "10", "LEASE": "60", "SWEEP": "5", "POLL": "15", "STOP_GRACE": "30", "BACKOFF": "5"}
    changed = {f"GRAFTWORK_{name}_SECONDS": seconds for name, seconds in earnest.items()}
    with running_faults(home, either_database_url, workers=2, **changed) as stack:
        seconds = random_cancels(stack, dice, 200)
        states = {state: Job.objects.filter(state=state).count() for state in OVER}
        print(f"200 cancels: {states}, median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")  # noqa: T201
        assert max(seconds) < 45
