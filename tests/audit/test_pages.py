"""The admin's page of the audit log, and the log as a file."""

import csv
import hashlib
import io
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client

from webapp.accounts.models import User
from webapp.audit import append_only
from webapp.audit.export import cell
from webapp.audit.models import AuditEntry, AuditHead
from webapp.audit.recording import Pending
from webapp.clock import database_now

URL = "/audit/"


def add(action: str = "job.create", actor: str = "ada", **fields: Any) -> AuditEntry:
    Pending(action, actor=actor, **fields).write("done")  # type: ignore[arg-type]
    return AuditEntry.objects.latest("number")


def shown(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def rows(client: Client, **asked: str) -> list[str]:
    """The names of what the table's rows are about."""
    page = client.get(URL, asked).content.decode()
    return re.findall(r'<span class="wrap-anywhere" title="[^"]*">([^<]+)</span>', page)


def exported(client: Client, **asked: str) -> bytes:
    response = client.get("/audit/export", asked)
    assert response.status_code == 200

    async def body() -> bytes:
        return b"".join([piece async for piece in response])

    return bytes(async_to_sync(body)()) if response.is_async else b"".join(response)


def test_only_admins_see_it_and_have_the_link(alice_client: Client, admin_client: Client) -> None:
    for url in (URL, f"{URL}?check=yes", "/audit/export", "/audit/export?format=jsonl"):
        assert alice_client.get(url).status_code == 403, url
        assert admin_client.get(url).status_code == 200, url
    assert f'href="{URL}"' in admin_client.get("/").content.decode()
    assert f'href="{URL}"' not in alice_client.get("/").content.decode()


def test_the_newest_stand_first_and_fifty_to_a_page(admin_client: Client) -> None:
    for number in range(60):
        add(object_kind="job", object_name=f"job {number}")
    assert rows(admin_client)[:2] == ["job 59", "job 58"]
    assert len(rows(admin_client)) == 50
    assert rows(admin_client, page="2")[-1] != rows(admin_client)[-1]
    assert rows(admin_client, page="nonsense")[0] == "job 59"


def test_an_empty_log_says_so(admin_client: Client) -> None:
    with connection.cursor() as cursor:
        for statement in append_only.SQLITE if connection.vendor == "sqlite" else append_only.POSTGRESQL:
            if "DROP" in statement:
                cursor.execute(statement)
        cursor.execute("DELETE FROM audit_auditentry")
    AuditHead.objects.all().delete()
    page = shown(admin_client.get(URL))
    assert "No entries yet" in page and "The log is empty." in page


def test_it_is_searched_by_person_action_outcome_day_and_text(admin_client: Client) -> None:
    add(actor="ada", object_kind="job", object_name="dates", address="192.0.2.7")
    add(actor="bob", object_kind="job", object_name="money", details=["switched off"])
    add("worker.drain", object_kind="worker", object_name="box")
    assert rows(admin_client, actor="bob") == ["money"]
    assert rows(admin_client, action="worker.drain") == ["box"]
    assert rows(admin_client, text="192.0.2") == ["dates"] and rows(admin_client, text="SWITCHED") == ["money"]
    today = database_now().date()
    assert len(rows(admin_client, since=str(today), until=str(today), actor="ada")) == 2
    assert rows(admin_client, until=str(today - timedelta(days=1)), actor="ada") == []
    assert rows(admin_client, actor="ada", action="job.create", outcome="done") == ["dates"]
    assert "No entry is like that" in shown(admin_client.get(URL, {"text": "%"}))


def test_pages_and_export_keep_what_was_asked(admin_client: Client) -> None:
    for number in range(60):
        add(actor="bob & co", object_kind="job", object_name=f"job {number}")
    page = admin_client.get(URL, {"actor": "bob & co"}).content.decode()
    assert f'href="?{urlencode({"actor": "bob & co"})}&amp;page=2"' in page
    assert f'/audit/export?{urlencode({"actor": "bob & co"})}&amp;format=csv"' in page


@pytest.mark.parametrize(
    "asked",
    [{"since": "x"}, {"since": "2026-11-30", "until": "2026-11-29"}, {"action": "no.such"}, {"actor": "x" * 201}],
)
def test_a_wrong_search_is_told_beside_its_field(admin_client: Client, asked: dict[str, str]) -> None:
    response = admin_client.get(URL, asked)
    assert response.status_code == 400 and "field-error" in response.content.decode()
    assert admin_client.get("/audit/export", asked).status_code == 404


def test_a_broken_chain_is_shown(admin_client: Client) -> None:
    for _ in range(3):
        add()
    assert "tied to each other by hashes" in shown(admin_client.get(URL))
    assert "entries are there and unchanged" in shown(admin_client.get(f"{URL}?check=yes"))
    with connection.cursor() as cursor:
        for statement in append_only.SQLITE if connection.vendor == "sqlite" else append_only.POSTGRESQL:
            if "DROP" in statement:
                cursor.execute(statement)
        cursor.execute("UPDATE audit_auditentry SET actor = 'eve' WHERE number = 2")
    page = shown(admin_client.get(f"{URL}?check=yes"))
    assert "The log is broken." in page and "Entry 2 was changed after it was written." in page


def test_text_from_people_stays_text(admin_client: Client) -> None:
    add(actor="<script>alert(1)</script>", object_kind="job", object_name="<img src=x>")
    page = admin_client.get(URL).content.decode()
    assert "<script>alert" not in page and "<img src=x>" not in page


def test_json_lines_hold_all_that_the_chain_is_made_of(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.audit.export.PIECE", 2)
    for number in range(5):
        add(object_name=f"job {number}\nü")
    lines = [json.loads(line) for line in exported(admin_client, format="jsonl").decode().splitlines()]
    assert lines[0]["action"] == "audit.export"
    assert [line["number"] for line in lines] == list(range(len(lines), 0, -1))
    for line in lines:
        content = {name: str(value) for name, value in line.items() if name != "sha256"}
        assert hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() == line["sha256"]


def test_a_spreadsheet_runs_nothing_from_the_csv(admin_client: Client) -> None:
    for name in ('=HYPERLINK("http://evil")', " \t=1+1", "+1", "-1", "@SUM(1)", "plain, with comma"):
        add(object_name=name)
    text = exported(admin_client, format="csv", action="job.create").decode()
    cells = [row["object_name"] for row in csv.DictReader(io.StringIO(text))]
    assert "plain, with comma" in cells and len(cells) == 6
    assert not [value for value in cells if value.strip().startswith(("=", "+", "-", "@"))]
    assert [cell(value) for value in (None, 7, "\r\n=1", "a=1")] == ["", "7", "'\r\n=1", "a=1"]


def test_an_unknown_format_is_not_found(admin_client: Client) -> None:
    assert admin_client.get("/audit/export?format=xlsx").status_code == 404


def test_the_page_asks_as_much_of_a_long_log_as_of_a_short_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    add()
    with django_assert_max_num_queries(12):
        admin_client.get(URL)


def test_users_may_go_and_their_entries_stay(admin_client: Client, alice: User) -> None:
    add(actor="alice", actor_id=alice.pk)
    User.objects.filter(pk=alice.pk).delete()
    assert AuditEntry.objects.filter(actor="alice").count() == 1
