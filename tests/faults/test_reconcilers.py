"""Several reconcilers: which one sweeps is a matter of turns, that nothing happens twice is not."""

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from django.db import connection

from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_step
from tests.faults.stack import FaultStack, Part, running_faults, until
from tests.jobs.made import claim
from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.jobs.models import Job, JobAttempt, LeaderLease, Outcome, State
from webapp.jobs.reconcile import leases_expire

NUM_LOST = 12


def holder(stack: FaultStack) -> Part | None:
    """Whose turn it is."""
    name = LeaderLease.objects.values_list("holder", flat=True).first() or ""
    return next((part for part in stack.parts.values() if name.endswith(f":{part.process.pid}")), None)


def num_handed_back(job: Job) -> int:
    events = job.events.filter(kind="moved")
    return sum(event.data["actor"] == "reconciler" for event in events)


def test_a_reconciler_that_sleeps_past_its_turn_does_nothing_twice(home: Path, any_database_url: str) -> None:
    """F25: three could sweep; the one whose turn it is freezes while jobs are lost, and wakes again."""
    with running_faults(home, any_database_url, workers=3, web=True) as stack:
        person = Person()
        jobs = [person.asks("steps=60 seconds=0.1") for _ in range(3)]
        for job in jobs:
            until_step(job, 4)
        until(lambda: holder(stack), 20, "nobody sweeps")
        sleeper = holder(stack)
        assert sleeper is not None
        sleeper.freeze()
        killed = next(part for name, part in stack.parts.items() if name.startswith("w") and part is not sleeper)
        if killed.name != "web":
            killed.kill()
        until(lambda: holder(stack) not in (None, sleeper), 30, "nobody else took the turn")
        lost = JobAttempt.objects.filter(outcome=Outcome.LOST)
        until(lambda: lost.exists(), 40, "the dead worker was not noticed")
        sleeper.send(signal.SIGCONT)
        until_all_over(jobs, 120)
        for job in jobs:
            assert now(job).state == State.SUCCEEDED
            assert num_handed_back(job) == lost.filter(job=job).count() <= 1
        check_invariants(stack)


def test_four_sweeps_at_once_hand_each_job_back_once(either_database: str) -> None:
    user = User.objects.create(username="alice")
    jobs = [lost_job(user, number) for number in range(NUM_LOST)]
    long_after = database_now() + timedelta(hours=1)

    def sweep(_: int) -> int:
        try:
            return leases_expire(long_after)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        moved = sum(pool.map(sweep, range(4)))
    assert moved == NUM_LOST
    for job in jobs:
        assert (now(job).state, job.attempt, job.crash_count, num_handed_back(job)) == (State.QUEUED, 1, 1, 1)


def lost_job(user: User, number: int) -> Job:
    from tests.factories import make_job

    make_job(user)
    return claim(f"w{number}")
