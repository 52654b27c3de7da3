"""The address where a worker shows its token: what it is told, and what a stranger is not."""

import json
import logging
import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client

from webapp import storage
from webapp.accounts.models import Allowance
from webapp.accounts.throttle import PER_ADDRESS
from webapp.workers.joining import is_loopback, join_answer
from webapp.workers.models import Worker
from webapp.workers.rules import Refused
from webapp.workers.services import worker_add, worker_retire

POSTGRES = "postgres://graftwork:secret@db.example/graftwork"


KEY = "k" * 43


def ask(token: str, address: str = "127.0.0.1", **sent: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"key": KEY, "installation": storage.installation_id(), "host": "box.example", **sent}
    client = Client(enforce_csrf_checks=True)
    return client.post("/workers/join", body, content_type="application/json", headers=headers, REMOTE_ADDR=address)


@pytest.mark.django_db
def test_a_worker_is_told_who_it_is_and_where_everything_is(settings: Any) -> None:
    worker, token = worker_add(name="box")
    response = ask(token)
    told = response.json()
    assert (response.status_code, told["id"], told["name"]) == (200, str(worker.id), "box")
    assert urlsplit(told["database_url"]).scheme == urlsplit(settings.WORKER_DATABASE_URL or "sqlite:").scheme
    assert told["installation"] == storage.installation_id()
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000, "ünknown"])
def test_a_wrong_token_is_told_nothing(token: str) -> None:
    worker_add(name="box")
    response = ask(token)
    assert (response.status_code, set(response.json())) == (401, {"error"})


@pytest.mark.django_db
def test_a_retired_worker_is_told_nothing() -> None:
    worker, token = worker_add(name="box")
    worker_retire(worker.id)
    assert ask(token).status_code == 401


@pytest.mark.django_db
def test_after_many_wrong_tokens_an_address_has_to_wait_and_others_do_not() -> None:
    _worker, token = worker_add(name="box")
    assert {ask("wrong").status_code for _ in range(PER_ADDRESS.burst)} == {401}
    refused = ask(token)
    assert refused.status_code == 429 and "Try again in" in refused.json()["error"]
    assert ask(token, "127.0.0.2").status_code == 200
    Allowance.objects.update(used_until=F("used_until") - timedelta(seconds=int(refused["Retry-After"])))
    assert ask(token).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["get", "put", "delete", "head"])
def test_it_only_hears_posts(client: Client, verb: str) -> None:
    assert getattr(client, verb)("/workers/join").status_code == 405


@pytest.mark.django_db
def test_the_token_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    _worker, token = worker_add(name="box")
    with caplog.at_level(logging.DEBUG):
        ask(token)
        ask("wrong-token")
    assert token not in caplog.text and "wrong-token" not in caplog.text


def test_an_sqlite_file_is_for_its_own_machine(sqlite_database: str) -> None:
    _worker, token = worker_add(name="box")
    response = ask(token, "192.0.2.7")
    assert response.status_code == 409
    assert "SQLite" in response.json()["error"] and "PostgreSQL" in response.json()["error"]


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """Its addresses alone; nothing here asks the database."""
    monkeypatch.setattr(connection, "vendor", "postgresql")
    settings.WORKER_DATABASE_URL, settings.WORKER_BROKER_URL = POSTGRES, "redis://broker.example:6379/0"
    return settings


def test_from_elsewhere_the_addresses_are_told(postgres: Any) -> None:
    answer = join_answer(Worker(name="box"), is_same_machine=False)
    assert (answer.database_url, answer.broker_url) == (POSTGRES, "redis://broker.example:6379/0")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "", "%2Frun%2Fpostgresql"])
def test_an_address_that_leads_nowhere_from_elsewhere_is_refused(postgres: Any, host: str) -> None:
    postgres.WORKER_DATABASE_URL = f"postgres://graftwork:secret@{host}/graftwork"
    with pytest.raises(Refused, match="GRAFTWORK_WORKER_DATABASE_URL"):
        join_answer(Worker(name="box"), is_same_machine=False)
    assert join_answer(Worker(name="box"), is_same_machine=True).database_url == postgres.WORKER_DATABASE_URL


def test_a_host_behind_the_question_mark_counts(postgres: Any) -> None:
    postgres.WORKER_DATABASE_URL = "postgres:///graftwork?host=db.example"
    assert join_answer(Worker(name="box"), is_same_machine=False).database_url == postgres.WORKER_DATABASE_URL


def test_a_broker_that_leads_nowhere_from_elsewhere_is_done_without(postgres: Any) -> None:
    postgres.WORKER_BROKER_URL = "redis+socket:///data/valkey/valkey.sock"
    assert join_answer(Worker(name="box"), is_same_machine=False).broker_url == ""
    assert join_answer(Worker(name="box"), is_same_machine=True).broker_url == postgres.WORKER_BROKER_URL


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("192.0.2.7", False), ("localhost.example", False), ("", False), ("0.0.0.0", False)],
)  # fmt: skip
def test_loopback(address: str, is_ours: bool) -> None:
    assert is_loopback(address) is is_ours


def test_an_installation_keeps_its_id_and_differs_from_others(settings: Any, tmp_path: Any) -> None:
    first = storage.installation_id()
    assert storage.installation_id() == first
    assert os.listdir(settings.DATA_DIR) == ["installation"]  # noqa: PTH208
    settings.DATA_DIR = tmp_path / "other"
    settings.DATA_DIR.mkdir()
    assert json.dumps(storage.installation_id()) != json.dumps(first)


@pytest.mark.django_db
def test_a_set_up_that_cannot_work_spends_no_token(settings: Any) -> None:
    worker, token = worker_add(name="box")
    foreign = ask(token, installation="another")
    assert foreign.status_code == 409 and "belongs to another installation" in foreign.json()["error"]
    assert worker.join_tokens.get().used_at is None
    assert ask(token).status_code == 200
    assert worker.join_tokens.get().used_from == "box.example (127.0.0.1)"


@pytest.mark.django_db
@pytest.mark.parametrize("sent", [{"key": ""}, {"key": "short"}, {"key": "k" * 500}, {"host": "h" * 300}])
def test_a_request_of_another_form_is_refused_and_spends_no_token(sent: dict[str, str]) -> None:
    worker, token = worker_add(name="box")
    assert ask(token, **sent).status_code == 400
    assert worker.join_tokens.get().used_at is None


@pytest.mark.django_db
def test_a_spent_token_is_refused_with_the_reason() -> None:
    _worker, token = worker_add(name="box")
    assert ask(token).status_code == ask(token).status_code == 200
    other = ask(token, key="o" * 43)
    assert other.status_code == 401 and "It works once, for one machine" in other.json()["error"]
