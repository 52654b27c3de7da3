"""A file comes in whole and readable, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.datasets.conftest import JSON, Send, files_in
from tests.datasets.files import GOOD_PAIRS, good_chats, good_csv, good_jsonl
from tests.datasets.test_readers_refuse import ARRAY
from tests.datasets.test_readers_refuse import CSV as BAD_CSV
from tests.datasets.test_readers_refuse import JSON as BAD_JSON
from webapp.datasets.models import Upload
from webapp.datasets.names import file_name_cleaned
from webapp.datasets.readers import FileRefused, source_of
from webapp.datasets.reading.table import table_write

BAD_FILES = [
    (kind, what, name)
    for kind, name in ((BAD_CSV, "rows.csv"), (BAD_JSON, "rows.jsonl"), (ARRAY, "rows.json"))
    for what in kind
]


@pytest.mark.parametrize(("kind", "what", "name"), BAD_FILES, ids=[f"{name}: {what}" for _, what, name in BAD_FILES])
def test_a_bad_file_is_refused_with_place_and_remedy_and_leaves_nothing(
    kind: dict[str, Any], what: str, name: str, send: Send, nothing_left: Callable[[], None]
) -> None:
    content, code, line = kind[what]
    answer = send(content, name)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["line"]) == (422, code, line)
    assert problem["message"] and problem["hint"] and problem["problems"] == []
    nothing_left()


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (good_csv(), "rows.csv", "csv"),
        (good_csv(";"), "rows.csv", "csv"),
        (good_csv("\t"), "rows.tsv", "csv"),
        (good_csv(",", "\r\n").encode("utf-8-sig"), "rows.txt", "csv"),
        (good_csv().encode("utf-16"), "rows.csv", "csv"),
        (good_jsonl(), "rows.jsonl", "jsonl"),
        (json.dumps([{"question": q, "answer": a} for q, a in GOOD_PAIRS]), "rows.json", "json"),
    ],
)
def test_a_good_file_is_kept_byte_for_byte_with_what_it_holds(
    content: bytes | str, name: str, kind: str, send: Send
) -> None:
    answer = send(content, name)
    upload = Upload.objects.get()
    assert (answer.status_code, answer.json()["url"]) == (201, f"/datasets/uploads/{upload.id}")
    assert answer.json()["guess"] == {"input": "question", "output": "answer"}
    assert (upload.format, upload.columns, upload.num_rows) == (kind, ["question", "answer"], 30)
    assert upload.path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_conversations_are_known_by_their_column(send: Send) -> None:
    assert send(good_chats(), "chat.jsonl").json()["guess"] == {"messages": "messages"}


def test_a_browser_is_led_to_the_columns(send: Send) -> None:
    assert send(good_csv(), html=True)["Location"] == f"/datasets/uploads/{Upload.objects.get().id}"


def test_a_browser_reads_the_refusal_beside_the_drop_zone(send: Send, nothing_left: Callable[[], None]) -> None:
    answer = send("q,a\n1,2\n3\n", html=True)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 3: The row has 1 cell; the first line names 2 columns." in page and "Add the missing cells." in page
    nothing_left()


def test_a_single_column_is_refused_with_what_separates_columns(send: Send) -> None:
    problem = send("text\none\ntwo\n").json()
    assert (problem["code"], problem["column"]) == ("one_column", "text")


def test_more_rows_than_we_take_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.datasets.reading.table.MAX_ROWS", 10)
    (tmp_path / "file").write_text(good_csv())
    with pytest.raises(FileRefused) as refused:
        table_write(source_of(tmp_path / "file", "rows.csv"), tmp_path / "table", print, print)
    assert (refused.value.problem.code, refused.value.problem.line) == ("too_many_rows", 12)
    assert [path.name for path in tmp_path.glob("table*")] == []


def test_no_file_is_told(alice_client: Client, nothing_left: Callable[[], None]) -> None:
    answer = alice_client.post("/datasets/upload", headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_file")
    assert alice_client.post("/datasets/upload", {"file": "text"}).status_code == 422
    nothing_left()


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("/srv/secret.csv", "secret.csv"),
        ("C:\\Users\\me\\rows.csv", "rows.csv"),
        ("a\x00b\nc.csv", "ab c.csv"),
        ("rows\u202egnp.csv", "rowsgnp.csv"),
        (".htaccess", "htaccess"),
        ("x" * 5000 + ".csv", "x" * 196 + ".csv"),
        ("🙂 日本.csv", "🙂 日本.csv"),
        ("\u200b", "file"),
        ("a" + "\u0301\u0323" * 500_000 + ".csv", ("\u0323" * 196 + ".csv")),
    ],
)
def test_a_name_is_shown_without_what_deceives(sent: str, shown: str) -> None:
    assert file_name_cleaned(sent) == shown


def test_a_file_lies_under_our_name_not_theirs(send: Send, data_dir: Path) -> None:
    send(good_csv(), "../../evil.csv")
    upload = Upload.objects.get()
    assert upload.file_name == "evil.csv"
    names = {str(path.relative_to(data_dir / "uploads")).split("/")[0] for path in files_in(data_dir)}
    assert names == {str(upload.id), f"{upload.id}.reading"}


def test_nothing_is_left_when_the_database_fails(
    send: Send, monkeypatch: pytest.MonkeyPatch, nothing_left: Callable[[], None]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Upload, "save", fail)
        with pytest.raises(RuntimeError):
            send(good_csv())
    nothing_left()


def test_an_upload_can_be_thrown_away(alice_client: Client, send: Send, nothing_left: Callable[[], None]) -> None:
    url = send(good_csv()).json()["url"]
    assert b"rows.csv" in alice_client.get("/datasets/").content
    alice_client.post(f"{url}/discard")
    nothing_left()


def test_a_stranger_learns_nothing_of_an_upload(send: Send, bob_client: Client, admin_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    for client in (bob_client, admin_client):
        assert client.get(url).status_code == 404
        assert client.post(url, {"name": "x", "input": "question", "output": "answer"}).status_code == 404
        assert client.post(f"{url}/discard").status_code == 404


def test_nobody_uploads_without_signing_in(client: Client, nothing_left: Callable[[], None], db: None) -> None:
    answer = client.post("/datasets/upload", {"file": SimpleUploadedFile("rows.csv", good_csv().encode())})
    assert answer.status_code == 302 and "next=" in answer["Location"]
    nothing_left()
