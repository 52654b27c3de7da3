"""While the broker is away every page says so, and none waits to find out."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.stack import free_port
from webapp import broker_watch
from webapp.broker_watch import Watch
from webapp.celery import app, broker_answers

AWAY = "The message broker is away."


def wait_for(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


@pytest.fixture
def no_broker(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens."""
    settings.BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(app.conf, "broker_url", settings.BROKER_URL)
    monkeypatch.setattr(app.conf, "broker_write_url", settings.BROKER_URL)
    monkeypatch.setattr(broker_watch, "_watch", Watch(broker_answers))


def test_without_a_broker_there_is_none_to_miss(alice_client: Client) -> None:
    assert broker_answers()
    assert AWAY not in alice_client.get("/jobs/").content.decode()


@pytest.mark.usefixtures("no_broker")
def test_a_broker_that_is_away_is_told_on_every_page(alice_client: Client) -> None:
    assert not broker_answers()
    assert wait_for(lambda: AWAY in alice_client.get("/jobs/").content.decode())
    assert "up to 15 s longer" in alice_client.get("/").content.decode()


def test_nobody_waits_for_a_broker_that_hangs() -> None:
    hangs = threading.Event()
    asked: list[float] = []

    def answers() -> bool:
        asked.append(time.monotonic())
        return not hangs.wait(10)

    watch = Watch(answers)
    assert [watch.is_away() for _ in range(3)] == [False] * 3
    hangs.set()
    assert wait_for(watch.is_away)
    assert len(asked) == 1


def test_a_broker_that_came_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_watch, "CHECK_SECONDS", 0.0)
    back = threading.Event()
    watch = Watch(back.is_set)
    assert wait_for(watch.is_away)
    back.set()
    assert wait_for(lambda: not watch.is_away())
