"""A worker's heart: it beats, hears the admin, outlives the database's outages, and says goodbye."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from webapp.timing import Timing
from webapp.workers.models import Intent, Worker
from webapp.workers.rules import Refused
from webapp.workers.services import worker_add, worker_pause, worker_register, worker_retire
from worker import presence as presence_module
from worker.identity import identify
from worker.presence import Presence

SECONDS = 10.0


@pytest.fixture(autouse=True)
def fast_beats(either_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TIMING = Timing(heartbeat=0.05)
    for variable in ("GRAFTWORK_WORKER_ID", "GRAFTWORK_WORKER_NAME"):
        monkeypatch.delenv(variable, raising=False)


class Heard:
    """What the process was told."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []

    def __call__(self, worker: Worker) -> None:
        self.workers.append(worker)

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not is_so():
            assert time.monotonic() < deadline, self.workers
            time.sleep(0.02)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def presence(heard: Heard) -> Iterator[Presence]:
    presence = Presence(identify().id, heard)
    presence.start()
    yield presence
    presence.stop()


def test_it_beats_with_its_load(presence: Presence, heard: Heard) -> None:
    heard.until(lambda: len(heard.workers) >= 3)
    worker = Worker.objects.get(id=presence.worker_id)
    assert worker.heartbeat_at and worker.started_at and worker.heartbeat_at > worker.started_at
    assert len(worker.loads) >= 3
    assert worker.loads[-1].devices[0].memory_used_bytes
    assert worker.loads[-1].disk_free_bytes


def test_it_hears_what_the_admin_wants(presence: Presence, heard: Heard) -> None:
    worker_pause(presence.worker_id)
    heard.until(lambda: bool(heard.workers) and heard.workers[-1].intent == Intent.PAUSED)
    worker_retire(presence.worker_id)
    heard.until(lambda: heard.workers[-1].intent == Intent.RETIRED)


def test_it_says_goodbye(heard: Heard) -> None:
    presence = Presence(identify().id, heard)
    presence.start()
    heard.until(lambda: bool(heard.workers))
    presence.stop()
    assert Worker.objects.get().stopped_at is not None
    beats = len(heard.workers)
    time.sleep(0.3)
    assert len(heard.workers) == beats


def test_it_says_goodbye_also_on_a_connection_that_broke_meanwhile(heard: Heard) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a file has no connection to break")
    presence = Presence(identify().id, heard)
    presence.start()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [ours])
    other.close()
    presence.stop()
    assert Worker.objects.get().stopped_at is not None


def test_it_outlives_the_database(presence: Presence, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    heard.until(lambda: bool(heard.workers))
    tries = []

    def away(*_words: Any, **_named: Any) -> None:
        tries.append(1)
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(presence_module, "worker_heartbeat", away)
        heard.until(lambda: len(tries) >= 3)
        beats = len(heard.workers)
    heard.until(lambda: len(heard.workers) > beats)


def test_a_callback_that_trips_does_not_stop_the_heart() -> None:
    beats = []

    def trip(_worker: Worker) -> None:
        beats.append(1)
        raise ValueError("a mistake of ours")

    presence = Presence(identify().id, trip)
    presence.start()
    Heard().until(lambda: len(beats) >= 2)
    presence.stop()


def test_a_process_whose_name_was_taken_is_told_to_end(presence: Presence, heard: Heard) -> None:
    heard.until(lambda: bool(heard.workers))
    Worker.objects.update(host="far-away", pid=7)
    heard.until(lambda: heard.workers[-1].intent == Intent.RETIRED)
    presence.stop()
    worker = Worker.objects.get()
    assert (worker.intent, worker.host, worker.stopped_at) == (Intent.ACTIVE, "far-away", None)


def test_it_is_called_as_its_machine_or_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = identify()
    assert (worker.host, worker.pid) == (socket.gethostname(), os.getpid())
    monkeypatch.setenv("GRAFTWORK_WORKER_NAME", "Second")
    assert identify().name == "second"
    joined, _token = worker_add(name="joined")
    monkeypatch.setenv("GRAFTWORK_WORKER_ID", str(joined.id))
    assert identify().id == joined.id


@pytest.mark.parametrize("worker_id", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_an_id_that_the_app_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, worker_id: str) -> None:
    monkeypatch.setenv("GRAFTWORK_WORKER_ID", worker_id)
    with pytest.raises(Refused, match="Join again"):
        identify()


def test_it_waits_for_a_database_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [OperationalError("the server starts up"), OperationalError("no such table")]

    def register(**fields: Any) -> Worker:
        if answers:
            raise answers.pop()
        return worker_register(**fields)

    monkeypatch.setattr("worker.identity.worker_register", register)
    monkeypatch.setattr("worker.identity.LOOK_AGAIN_SECONDS", 0.01)
    assert identify().pid == os.getpid()
