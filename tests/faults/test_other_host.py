"""A worker on another host joins by its token, trains, takes over and hands over jobs, and survives a pulled cable."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from django.db import connection

from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_step
from tests.faults.other_host import (
    HERE,
    NAME,
    PASSWORD,
    THERE,
    cable,
    network_database,
    plug_cable,
    pull_cable,
    worker_there,
)
from tests.faults.stack import QUICK, FaultStack, running_faults, until, words_of
from tests.processes import is_gone
from webapp import storage
from webapp.clock import database_now
from webapp.contract.job_dir import ADAPTER, EVENTS
from webapp.jobs.models import Job, JobAttempt, State
from webapp.jobs.services import job_move_away
from webapp.jobs.wishes import Wishes
from webapp.workers.models import Worker
from webapp.workers.services import worker_add, worker_pause, worker_resume

pytestmark = pytest.mark.faults

ONLY_THERE = Wishes(needs_labels=("b",))


def seconds_of(stack: FaultStack, name: str) -> float:
    return float(stack.environment[f"GRAFTWORK_{name}_SECONDS"])


def is_online(stack: FaultStack, name: str) -> bool:
    seen = Worker.objects.get(name=name).heartbeat_at
    return seen is not None and (database_now() - seen).total_seconds() < 2 * seconds_of(stack, "HEARTBEAT") + 1


@pytest.fixture
def hosts_a_and_b(home: Path, tmp_path: Path, timing: dict[str, str]) -> Iterator[FaultStack]:
    """w1 runs here; b, with the label b, on the other host, where nothing but the cable leads to us."""
    home_there = tmp_path / "mounted"
    home_there.mkdir()
    with cable(), network_database() as (database_here, database_from_there):
        services = {"GRAFTWORK_ALLOWED_HOSTS": HERE, "GRAFTWORK_WORKER_DATABASE_URL": database_from_there}
        services |= timing
        with running_faults(home, database_here, web=True, host=HERE, broker_password=PASSWORD, **services) as stack:
            _row, token = worker_add(name="b", labels=["b"], slots=1)
            with worker_there(stack, home_there, token) as log:
                until(lambda: is_online(stack, "b"), 60, log.read_text)
                until(lambda: is_online(stack, "w1"), 60, "the worker here does not show up")
                yield stack


def hosts(job: Job) -> list[str]:
    return [attempt.worker.host if attempt.worker else "" for attempt in JobAttempt.objects.filter(job=job)]


def training_of(job: Job) -> psutil.Process:
    """Wherever it runs: the other host's processes are this machine's, too."""
    return next(one for one in psutil.process_iter() if f"/jobs/{job.id}/" in " ".join(words_of(one)))


def begun_by(name: str, person: Person, words: str) -> Job:
    """A job that any worker could do, and that this one has, since the other was paused until it had it."""
    other = Worker.objects.exclude(name=name).get()
    worker_pause(other.id)
    job = person.asks(words)
    until_step(job, 4)
    worker_resume(other.id)
    return now(job)


def addresses_at_the_services(stack: FaultStack) -> tuple[set[str], set[str]]:
    """From where the database and the broker are spoken to, by what they say themselves."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL")
        at_database = {row[0] for row in cursor.fetchall()}
    clients = redis.Redis.from_url(stack.broker_url).client_list()
    return at_database, {client["addr"].rpartition(":")[0] for client in clients}


def test_it_trains_and_jobs_move_there_and_back(hosts_a_and_b: FaultStack) -> None:
    stack, person = hosts_a_and_b, Person()
    here = Worker.objects.get(name="w1").host
    assert Worker.objects.get(name="b").host == NAME != here

    there = person.asks("steps=40 seconds=0.1", wishes=ONLY_THERE)
    until_step(there, 4)
    at_database, at_broker = addresses_at_the_services(stack)
    assert at_database == {THERE}, "those here speak through the socket, the other host through the cable"
    assert THERE in at_broker

    moved = begun_by("w1", person, "steps=300 seconds=0.1")
    for attempt in (2, 3):
        job_move_away(moved)
        until(lambda attempt=attempt: now(moved).attempt == attempt, 60, "nobody took the job that was moved away")
        until(lambda: now(moved).state == State.RUNNING, 60, "the job that was moved away does not train")
    until_all_over([there, moved], 120)
    assert (now(there).state, hosts(there)) == (State.SUCCEEDED, [NAME])
    assert (now(moved).state, hosts(moved)) == (State.SUCCEEDED, [here, NAME, here])
    check_invariants(stack)


def test_it_survives_a_pulled_cable_and_its_zombie_changes_nothing(hosts_a_and_b: FaultStack) -> None:
    stack, person = hosts_a_and_b, Person()
    here, is_quick = Worker.objects.get(name="w1").host, stack.environment["GRAFTWORK_LEASE_SECONDS"] == QUICK["LEASE"]
    # So long that the zombie cannot come to its end by itself before the cable is back.
    cut_off = begun_by("b", person, f"steps=400 seconds={0.1 if is_quick else 0.4}")
    zombie = training_of(cut_off)

    pull_cable()
    pulled_at = time.monotonic()
    bound = 40 if is_quick else 75
    noticed = until(lambda: now(cut_off).state != State.RUNNING or cut_off.attempt > 1, bound, "nobody noticed")
    until(lambda: now(cut_off).attempt == 2, 60, "nobody took over from the host that was cut off")
    until(lambda: now(cut_off).state == State.RUNNING, 60, "who took over does not train")
    taken_over = time.monotonic() - pulled_at
    assert not is_gone(zombie.pid), "the host that was cut off should have trained on"
    written_by_zombie = cut_off.events.filter(attempt=1).count()
    plug_cable()
    killed = until(lambda: is_gone(zombie.pid), 60, "the zombie trains on")
    print(f"noticed {noticed:.1f} s, taken over {taken_over:.1f} s, zombie killed {killed:.1f} s after the cable")  # noqa: T201

    attempt_dir = storage.attempt_dir(cut_off.id, 1)
    last_words = json.loads((attempt_dir / EVENTS).read_text().splitlines()[-1])
    assert last_words["step"] < 400 and not (attempt_dir / ADAPTER).exists(), "it ended by itself, and was not killed"
    until(lambda: is_online(stack, "b"), 90, "the other host's worker did not come back")
    again = person.asks("steps=10 seconds=0.1", wishes=ONLY_THERE)
    until_all_over([again, cut_off], 240)
    assert (now(again).state, hosts(again)) == (State.SUCCEEDED, [NAME])
    assert (now(cut_off).state, hosts(cut_off)) == (State.SUCCEEDED, [NAME, here])
    assert cut_off.events.filter(attempt=1).count() == written_by_zombie
    check_invariants(stack)
