"""Watching a job: by asking, and by server-sent events from a real server."""

import gc
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from tests.factories import make_job
from tests.jobs.made import evaluated, make_failed, make_running, make_succeeded, stepped
from webapp.accounts.models import User
from webapp.jobs import views_live
from webapp.jobs.attempts import job_record
from webapp.jobs.endings import Ending, job_fail
from webapp.jobs.models import Job
from webapp.jobs.services import job_cancel


def live(client: Client, job: Job, **query: Any) -> dict[str, Any]:
    response = client.get(f"/jobs/{job.id}/live", query)
    assert response.status_code == 200
    return dict(response.json())


def test_asking_tells_state_figures_and_history(alice: User, alice_client: Client) -> None:
    told = live(alice_client, make_running(alice))
    assert (told["state"], told["is_over"], told["has_more"]) == ("running", False, False)
    assert told["live"]["step"] == 3 and round(told["percent"]) == 33
    assert told["live"]["learning_rate"] == 1e-3
    kinds = [event["kind"] for event in told["events"]]
    assert kinds == [
        "moved", "moved", "phase_moved", "moved", "started", "stepped", "stepped", "stepped", "evaluated"
    ]  # fmt: skip
    assert told["events"][0]["text"] == "Queued. Waiting for a worker."
    assert told["seq"] == told["events"][-1]["seq"]


def test_a_waiting_job_tells_its_place_and_a_running_one_none(alice: User, alice_client: Client) -> None:
    make_job(alice)
    assert live(alice_client, make_job(alice))["queue"]["num_ahead"] == 1
    told = live(alice_client, make_running(alice))
    assert (told["queue"], told["asked"]) == (None, "")
    assert [event["actor"] for event in told["events"] if event["kind"] == "moved"] == ["", "", ""]


def test_only_what_is_new_is_told(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    seq = live(alice_client, job)["seq"]
    assert live(alice_client, job, after=seq)["events"] == []
    job_record(job, [stepped(4), evaluated(4)])
    assert [event["data"]["step"] for event in live(alice_client, job, after=seq)["events"]] == [4, 4]


def test_a_long_history_comes_in_pieces(alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.jobs.snapshot.MOST_EVENTS", 4)
    job = make_running(alice)
    first = live(alice_client, job)
    assert first["has_more"] and len(first["events"]) == 4
    second = live(alice_client, job, after=first["seq"])
    assert second["events"][0]["seq"] == first["seq"] + 1


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "١", "9" * 30, ""])
def test_a_wrong_number_is_refused(alice: User, alice_client: Client, after: str) -> None:
    job = make_job(alice)
    for name in ("live", "stream"):
        response = alice_client.get(f"/jobs/{job.id}/{name}", {"after": after})
        assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_an_ended_job_says_so(alice: User, alice_client: Client) -> None:
    assert live(alice_client, make_succeeded(alice))["is_over"]
    told = live(alice_client, make_failed(alice, "data", message="Line 3."))
    assert told["events"][-1]["text"] == "Failed. Line 3."


def test_history_of_a_newer_version_is_no_obstacle(alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    job.events.create(seq=2, attempt=0, at=job.created_at, kind="from_the_future", data={"a": 1})
    assert live(alice_client, job)["events"][-1]["text"] == ""
    assert alice_client.get(f"/jobs/{job.id}").status_code == 200


# The stream, from a real server on a database in a file: one in memory knows no waiting for locks.


@pytest.fixture
def database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    if connection.vendor != "sqlite":
        yield
        return
    path = tmp_path / "test.sqlite3"
    connection.ensure_connection()
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path)) as copy:
        in_memory.backup(copy)
    connection.connection, connection.settings_dict["NAME"] = None, str(path)
    yield
    connection.close()
    connection.connection, connection.settings_dict["NAME"] = in_memory, name


@pytest.fixture
def server(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from webapp.asgi import application

    monkeypatch.setattr(views_live, "LOOK_SECONDS", 0.1)
    config = uvicorn.Config(application, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def cookies_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"sessionid": client.cookies["sessionid"].value}


class Stream:
    """Messages of an open stream, parsed as a browser would."""

    def __init__(self, url: str, user: User, **headers: str) -> None:
        self.http = httpx.Client(cookies=cookies_of(user), timeout=10)
        self.open = self.http.stream("GET", url, headers=headers)
        self.response = self.open.__enter__()
        self.lines = self.response.iter_lines()

    def next(self) -> tuple[int, dict[str, Any]]:
        seq = -1
        for line in self.lines:
            if line.startswith("id: "):
                seq = int(line[4:])
            elif line.startswith("data: "):
                return seq, json.loads(line[6:])
        raise EOFError

    def close(self) -> None:
        self.open.__exit__(None, None, None)
        self.http.close()


def test_events_arrive_while_they_happen_and_the_stream_ends_with_the_job(server: str, alice: User) -> None:
    job = make_running(alice)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert "no-store" in stream.response.headers["cache-control"]
        seq, told = stream.next()
        assert seq == told["seq"] == 9
        job_record(job, [stepped(4)])
        seq, told = stream.next()
        assert (seq, told["live"]["step"]) == (10, 4)
        assert [event["kind"] for event in told["events"]] == ["stepped"]
        job_fail(job, Ending("data", "Line 3."))
        _seq, told = stream.next()
        assert told["is_over"] and told["events"][-1]["text"] == "Failed. Line 3."
        with pytest.raises(EOFError):
            stream.next()


def test_a_browser_that_comes_back_misses_nothing_and_hears_nothing_twice(server: str, alice: User) -> None:
    job = make_running(alice)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        seq, _told = stream.next()
    job_record(job, [stepped(4)])
    job_record(job, [stepped(5)])
    again = Stream(f"{server}/jobs/{job.id}/stream?after=0", alice, **{"Last-Event-ID": str(seq)})
    with closing(again):
        _seq, told = again.next()
    assert [event["data"]["step"] for event in told["events"]] == [4, 5]


def test_a_change_without_an_event_is_told_too(server: str, alice: User) -> None:
    job = make_running(alice)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        seq, _told = stream.next()
        job_cancel(Job.objects.get())
        assert stream.next()[0] == seq
        assert Job.objects.get().asked == "cancel"


def test_a_quiet_stream_sends_heartbeats(server: str, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_live, "HEARTBEAT_SECONDS", 0.2)
    with closing(Stream(f"{server}/jobs/{make_job(alice).id}/stream", alice)) as stream:
        assert next(line for line in stream.lines if line.startswith(":")) == ": still here"


def test_no_stream_is_held_for_ever(server: str, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_live, "STREAM_SECONDS", 0.5)
    with closing(Stream(f"{server}/jobs/{make_job(alice).id}/stream", alice)) as stream:
        stream.next()
        with pytest.raises(EOFError):
            stream.next()


def test_a_deleted_job_ends_its_stream(server: str, alice: User) -> None:
    job = make_running(alice)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        stream.next()
        Job.objects.all().delete()
        with pytest.raises(EOFError):
            stream.next()


def disable(alice: User, _session_key: str) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def sign_out(_alice: User, session_key: str) -> None:
    client = Client()
    client.cookies["sessionid"] = session_key
    assert client.post("/sign-out").status_code == 302


def change_password_elsewhere(alice: User, _session_key: str) -> None:
    alice.set_password("another good password")
    alice.save()


def take_admin_away(alice: User, _session_key: str) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=False)


@pytest.mark.parametrize("end", [disable, sign_out, change_password_elsewhere, take_admin_away])
def test_a_stream_ends_when_its_reader_may_no_longer_see_the_job(
    server: str, alice: User, bob: User, end: Callable[[User, str], None]
) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    job = make_running(bob)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        stream.next()
        end(User.objects.get(pk=alice.pk), stream.http.cookies["sessionid"])
        with pytest.raises(EOFError):
            stream.next()


def test_a_stream_goes_on_while_its_reader_may_see_the_job(server: str, alice: User, bob: User) -> None:
    job = make_running(alice)
    with closing(Stream(f"{server}/jobs/{job.id}/stream", alice)) as stream:
        stream.next()
        disable(bob, "")
        cookies_of(alice)
        job_record(job, [stepped(4)])
        assert stream.next()[1]["live"]["step"] == 4


def test_a_reader_who_leaves_is_noticed(server: str, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    look = views_live._look
    monkeypatch.setattr(views_live, "_look", lambda *words: (looks.append(time.monotonic()), look(*words))[1])
    stream = Stream(f"{server}/jobs/{make_job(alice).id}/stream", alice)
    stream.next()
    stream.close()
    deadline = time.monotonic() + 60
    num_looks = -1
    while len(looks) != num_looks:
        assert time.monotonic() < deadline, "the stream still looks for somebody who left"
        num_looks = len(looks)
        time.sleep(1)


def test_twenty_readers_hold_no_connection_and_keep_no_writer_waiting(
    server: str, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_running(alice)
    streams = [Stream(f"{server}/jobs/{job.id}/stream", alice) for _ in range(20)]
    for stream in streams:
        stream.next()
    for step in range(4, 9):
        assert job_record(job, [stepped(step)]).is_mine
    monkeypatch.setattr(views_live, "LOOK_SECONDS", 60)
    time.sleep(1)
    wrappers = [thing for thing in gc.get_objects() if issubclass(type(thing), BaseDatabaseWrapper)]
    assert [wrapper for wrapper in wrappers if wrapper.connection] == [connections["default"]]
    for stream in streams:
        stream.close()
