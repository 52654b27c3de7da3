"""What a probe is told, whoever asks and whatever is broken."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from tests.databases import ENGINES, new_database, using_database
from webapp import health
from webapp.contract.version import graftwork_version

WELL = {"database": "ok", "migrations": "ok", "broker": "ok", "data_folder": "ok"}


@pytest.fixture(autouse=True)
def looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", -1.0)


@pytest.fixture
def probe() -> Client:
    """A stranger that calls by an address, as probes do."""
    return Client(headers={"Host": "10.0.0.9:8000"})


def test_live_needs_nothing(probe: Client) -> None:
    """No database either: this test has none."""
    response = probe.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "sessionid" not in response.cookies and response["Cache-Control"] == "no-store"


def test_ready_says_what_was_checked_and_nothing_else(db: None, probe: Client) -> None:
    response = probe.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": WELL})
    told = response.content.decode() + str(response.headers)
    assert graftwork_version() not in told and "django" not in told.lower()


def test_without_the_broker_it_is_ready_and_says_degraded(db: None, probe: Client, settings: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.BROKER_URL = "set"
        from webapp.celery import app

        before, app.conf.broker_url = app.conf.broker_url, f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        try:
            response = probe.get("/health/ready")
        finally:
            app.conf.broker_url = before
    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "checks": {**WELL, "broker": "degraded"}}


@pytest.mark.parametrize("engine", ENGINES)
def test_before_its_migrations_it_is_not_ready(engine: str, probe: Client, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), using_database(new_database(engine), migrate=False):
        before = probe.get("/health/ready")
        call_command("migrate", verbosity=0)
        after = probe.get("/health/ready")
    assert (before.status_code, before.json()["checks"]) == (503, {**WELL, "migrations": "degraded"})
    assert (after.status_code, after.json()["checks"]) == (200, WELL)


@pytest.fixture
def database_away(tmp_path: Path, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), using_database(f"sqlite:///{tmp_path}/no/such/folder.sqlite3", migrate=False):
        yield
        connection.close()


def test_without_its_database_it_lives_and_is_not_ready(database_away: None, probe: Client) -> None:
    assert probe.get("/health/live").status_code == 200
    response = probe.get("/health/ready")
    expected = {"status": "degraded", "checks": {**WELL, "database": "degraded", "migrations": "degraded"}}
    assert (response.status_code, response.json()) == (503, expected)


def test_without_its_data_folder_it_is_not_ready(db: None, probe: Client, settings: Any) -> None:
    settings.DATA_DIR = settings.DATA_DIR / "gone"
    response = probe.get("/health/ready")
    assert (response.status_code, response.json()["checks"]) == (503, {**WELL, "data_folder": "degraded"})


def test_probes_make_no_news(database_away: None, probe: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Only a change is logged, however often it is asked."""
    probe.get("/health/ready")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            probe.get("/health/ready")
            probe.get("/health/live")
    assert caplog.records == []


def test_many_that_ask_at_once_make_it_look_once(db: None, probe: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 3600.0)
    looks: list[int] = []
    readiness = health.Readiness({"database": lambda: bool(looks.append(1)) or True})
    assert {str(readiness.checks()) for _ in range(10)} == {"{'database': True}"}
    assert len(looks) == 1


def test_with_https_probes_are_not_sent_on(db: None, probe: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert probe.get("/health/live").status_code == 200
    assert Client().get("/sign-in").status_code == 301
