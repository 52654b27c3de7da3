"""A file is read once, in a process of its own with limits; the web process only looks at what that wrote."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.test import Client
from django.utils import timezone

from tests.datasets.conftest import JSON, Send, files_in
from tests.datasets.files import GOOD_PAIRS, good_csv
from tests.datasets.test_pages import HTMX, PAIRS, text
from tests.processes import environment_of
from webapp import storage
from webapp.datasets import reading_answers
from webapp.datasets.models import Dataset, Upload
from webapp.datasets.reading import start, table, work
from webapp.datasets.reading.folder import ReadingFolder
from webapp.datasets.services import refused_uploads_forget

NUM_ROWS = 400_000
LONG_CSV = "question,answer\n" + "".join(f"question {number},answer {number}\n" for number in range(NUM_ROWS))
SWAPPED = {"input": "answer", "output": "question"}


@pytest.fixture(autouse=True)
def no_children_before() -> None:
    """Those of an earlier test go on to check the mapping that they guessed."""
    until(lambda: not children())


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch, patience: None) -> None:
    """Every request is answered at once, with how far the reading is."""
    for name in ("JSON_WAIT_SECONDS", "PAGE_WAIT_SECONDS"):
        monkeypatch.setattr(reading_answers, name, 0.0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str] | None]:
    """The mapping of each child that is started."""
    mappings: list[dict[str, str] | None] = []
    child_run = start._child_run

    def seen(folder: ReadingFolder, request: work.Request, locks: tuple[int, ...]) -> int:
        mappings.append(request.mapping)
        return child_run(folder, request, locks)

    monkeypatch.setattr(start, "_child_run", seen)
    return mappings


@contextmanager
def all_places_taken() -> Iterator[None]:
    """As if other files were being read, so that no child starts."""
    storage.run_dir().mkdir(exist_ok=True)
    paths = [storage.run_dir() / f"reading-{number}.lock" for number in range(start.NUM_AT_ONCE)]
    held: list[int] = [until(lambda path=path: start._locked(path)) for path in paths]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def until(is_so: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def children() -> list[psutil.Process]:
    ours = psutil.Process().children()
    return [
        child for child in ours if child.is_running() and "webapp.datasets.reading.child" in " ".join(cmdline(child))
    ]


def cmdline(child: psutil.Process) -> list[str]:
    try:
        return child.cmdline()
    except psutil.Error:
        return []


@contextmanager
def frozen_while_reading(url: str, client: Client) -> Iterator[psutil.Process]:
    """The child of a long file, stopped in the middle of it."""
    client.get(url)
    child = until(children)[0]
    folder = start.folder_of(Upload.objects.get())
    until(lambda: folder.progress().num_rows)
    child.suspend()
    try:
        yield child
    finally:
        if child.is_running():
            child.resume()


def ready(client: Client, url: str) -> Any:
    """The answer once the upload is read, or turned out not to be readable."""
    return until(lambda: answer if (answer := client.get(url, headers=JSON)).status_code != 202 else None)


def test_the_web_process_parses_no_file(
    send: Send, alice_client: Client, monkeypatch: pytest.MonkeyPatch, started: list[Any]
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("rows were read in the web process")

    for module in (table, work):
        for name in ("read_rows", "table_records", "rows_check"):
            monkeypatch.setattr(module, name, refuse, raising=False)
    url = send(good_csv()).json()["url"]
    assert "Rows that can be used" in text(alice_client.get(url))
    assert "Rows that can be used" in text(alice_client.get(url, SWAPPED, headers=HTMX))
    assert alice_client.post(url, {"name": "Mine", **PAIRS}, headers=JSON).status_code == 201
    assert started == [None, SWAPPED]


def test_another_mapping_is_checked_without_the_file(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    Upload.objects.get().path.write_bytes(b"\0" * 100)
    page = text(alice_client.get(url, SWAPPED, headers=HTMX))
    assert "Rows that can be used" in page and GOOD_PAIRS[4][1] in page


def test_a_mapping_looked_at_before_is_not_checked_again(send: Send, alice_client: Client, started: list[Any]) -> None:
    url = send(good_csv()).json()["url"]
    for mapping in (PAIRS, SWAPPED, PAIRS, SWAPPED, PAIRS):
        assert "Rows that can be used" in text(alice_client.get(url, mapping, headers=HTMX))
    assert started == [None, SWAPPED]


def test_of_many_mappings_the_latest_three_keep_their_rows(send: Send, alice_client: Client) -> None:
    url = send("a,b,c\n" + "".join(f"a{n},b{n},c{n}\n" for n in range(30))).json()["url"]
    for mapping in ("ab", "bc", "ca", "ac"):
        alice_client.get(url, {"input": mapping[0], "output": mapping[1]}, headers=HTMX)
    folder = start.folder_of(Upload.objects.get())
    assert len(list(folder.path.glob("*.parquet"))) == 1 + 3
    assert folder.check({"input": "a", "output": "c"}) and not folder.check({"input": "a", "output": "b"})


def test_a_script_is_told_to_ask_again_until_a_long_file_is_read(
    send: Send, alice_client: Client, no_patience: None
) -> None:
    with all_places_taken():
        answer = send(good_csv())
        url = answer.json()["url"]
        assert (answer.status_code, answer["Retry-After"], answer["Location"]) == (202, "1", url)
        assert answer.json()["progress"]["stage"] == "waiting"
        assert alice_client.get(url, headers=JSON).status_code == 202
        saving = alice_client.post(url, {"name": "Mine", **PAIRS}, headers=JSON)
        assert (saving.status_code, Dataset.objects.count()) == (202, 0)
    answer = ready(alice_client, url)
    assert (answer.status_code, answer.json()["num_rows"]) == (200, 30)
    assert answer.json()["guess"] == PAIRS

    def save() -> Any:
        saving = alice_client.post(url, {"name": "Mine", **PAIRS}, headers=JSON)
        return saving if saving.status_code != 202 else None

    assert until(save).status_code == 201 and Dataset.objects.count() == 1


def test_a_person_sees_that_the_file_waits_and_may_leave(send: Send, alice_client: Client, no_patience: None) -> None:
    with all_places_taken():
        url = send(good_csv(), html=True)["Location"]
        page = text(alice_client.get(url))
        assert "Waiting to read the file" in page and f'hx-get="{url}"' in page
        assert "not read yet" in text(alice_client.get("/datasets/"))
    ready(alice_client, url)
    assert "30 rows" in text(alice_client.get("/datasets/"))
    moved = alice_client.get(url, headers={**HTMX, "HX-Target": "reading"})
    assert moved["HX-Redirect"] == url


def test_a_page_shows_how_far_the_reading_is(send: Send, alice_client: Client, no_patience: None) -> None:
    url = send(LONG_CSV).json()["url"]
    with frozen_while_reading(url, alice_client):
        page = text(alice_client.get(url, headers={**HTMX, "HX-Target": "reading"}))
        assert "Reading the file…" in page and f"MB of {len(LONG_CSV) / 1e6:.1f} MB" in page and "<html" not in page
        assert alice_client.get(url, headers=JSON).json()["progress"]["num_rows"] > 0
    assert ready(alice_client, url).json()["num_rows"] == NUM_ROWS


def test_of_mappings_chosen_quickly_only_the_latest_is_checked(
    send: Send, alice_client: Client, monkeypatch: pytest.MonkeyPatch, no_patience: None, started: list[Any]
) -> None:
    url = send("a,b,c\n" + "".join(f"a{n},b{n},c{n}\n" for n in range(30))).json()["url"]
    mappings = [{"input": one, "output": other} for one, other in ("ab", "bc", "ca", "ba")]
    until(lambda: start.folder_of(Upload.objects.get()).check(mapping_of(url, alice_client)))
    until(lambda: not children())
    started.clear()
    with all_places_taken():
        for mapping in mappings:
            page = text(alice_client.get(url, mapping, headers=HTMX))
            assert "Waiting to read the file" in page and "Rows that can be used" not in page
    until(lambda: "Rows that can be used" in text(alice_client.get(url, mappings[-1], headers=HTMX)))
    assert started == [mappings[0], mappings[-1]]


def mapping_of(url: str, client: Client) -> dict[str, str]:
    return dict(ready(client, url).json()["guess"])


def test_no_more_children_run_than_there_are_places(
    send: Send, alice_client: Client, no_patience: None, started: list[Any]
) -> None:
    with all_places_taken():
        urls = [send(good_csv(), f"rows{number}.csv").json()["url"] for number in range(4)]
        assert not children() and not started
    assert [ready(alice_client, url).json()["num_rows"] for url in urls] == [30] * 4


def test_a_killed_child_is_told_and_can_be_started_again(
    send: Send, alice_client: Client, no_patience: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY", "not for children")
    url = send(LONG_CSV).json()["url"]
    with frozen_while_reading(url, alice_client) as child:
        assert not [name for name in environment_of(child.pid) if name.startswith(("GRAFTWORK", "DJANGO"))]
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
        child.kill()
    answer = ready(alice_client, url)
    assert (answer.status_code, answer.json()["code"]) == (422, "reading_stopped")
    assert "killed" in answer.json()["message"] and "Try again" in answer.json()["hint"]
    page = text(alice_client.get(url))
    assert "Reading was stopped" in page and f'href="{url}?again=yes"' in page and "hx-trigger" not in page
    assert not start.folder_of(Upload.objects.get()).table_path.exists()
    alice_client.get(url, {"again": "yes"})
    assert ready(alice_client, url).json()["num_rows"] == NUM_ROWS


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [("MAX_MEMORY_BYTES", 300_000_000, "GB of memory"), ("CPU_SECONDS", 1, "of computing time")],
)
def test_a_file_that_takes_too_much_is_stopped_with_the_reason(
    limit: str, value: int, says: str, send: Send, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, limit, value)
    monkeypatch.setattr(start, "CPU_SECONDS_A_MB", 0)
    url = send("q,a\n" + ("x" * 900 + ",y\n") * 100 + "q,a\n" * 1_500_000).json()["url"]
    answer = ready(alice_client, url)
    assert answer.json()["code"] == "reading_stopped" and says in answer.json()["message"]


def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(LONG_CSV)
    request = work.Request(
        folder=tmp_path, file=tmp_path / "file", file_name="rows.csv", mapping=None,
        max_memory_bytes=start.MAX_MEMORY_BYTES, cpu_seconds=120, max_file_bytes=10**9,
    )  # fmt: skip
    command = [sys.executable, "-m", "webapp.datasets.reading.child"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert child.stdin is not None
    child.stdin.write(request.model_dump_json().encode() + b"\n")
    child.stdin.flush()
    until(lambda: ReadingFolder(tmp_path).progress().num_rows)
    child.stdin.close()
    assert child.wait(60) == -signal.SIGKILL


def test_removing_a_file_while_it_is_read_leaves_nothing(
    send: Send, alice_client: Client, no_patience: None, nothing_left: Callable[[], None]
) -> None:
    url = send(LONG_CSV).json()["url"]
    with frozen_while_reading(url, alice_client):
        alice_client.post(f"{url}/discard")
        nothing_left()
    until(lambda: not children())
    nothing_left()


def test_a_file_refused_after_a_while_says_why_and_is_not_kept(
    send: Send, alice_client: Client, no_patience: None, data_dir: Path, nothing_left: Callable[[], None]
) -> None:
    with all_places_taken():
        url = send("q,a\n1,2\n3\n").json()["url"]
    answer = ready(alice_client, url)
    assert (answer.status_code, answer.json()["code"], answer.json()["line"]) == (422, "ragged_row", 3)
    page = text(alice_client.get(url))
    assert "This file cannot be used" in page and "Line 3: The row has 1 cell" in page
    assert files_in(data_dir) == []
    assert "cannot be used" in text(alice_client.get("/datasets/"))
    assert alice_client.post(url, {"name": "Mine", "input": "q", "output": "a"}, headers=JSON).status_code == 422
    assert refused_uploads_forget(timezone.now()) == 0
    assert refused_uploads_forget(timezone.now() + timedelta(days=2)) == 1
    nothing_left()


@pytest.mark.parametrize("harm", ["none", "removed", "cut", "facts cut", "another version"])
def test_what_was_read_is_made_again_from_the_file_when_it_is_missing_or_damaged(
    harm: str, send: Send, alice_client: Client
) -> None:
    """`removed` is how uploads of earlier versions of the app are found."""
    url = send(good_csv()).json()["url"]
    upload = Upload.objects.get()
    folder = start.folder_of(upload)
    if harm == "removed":
        start.reading_forget(upload.id)
    elif harm == "cut":
        os.truncate(folder.table_path, 50)
    elif harm == "facts cut":
        os.truncate(folder.path / "table.json", 10)
    elif harm == "another version":
        (folder.path / "table.json").write_text('{"version": 0}')
    answer = alice_client.post(url, {"name": "Mine", **SWAPPED}, headers=JSON)
    assert (answer.status_code, answer.json()["num_rows"]) == (201, 30)


def test_a_file_of_a_dataset_stays_even_if_it_is_refused_later(saved: Send, alice_client: Client) -> None:
    dataset_url = saved(good_csv(), **PAIRS).json()["url"]
    upload = Upload.objects.get()
    start.reading_forget(upload.id)
    upload.path.write_bytes(b"\x89PNG")
    page = text(alice_client.get(f"{dataset_url}/remap"))
    assert "This file cannot be used" in page
    assert upload.path.exists() and alice_client.get(dataset_url).status_code == 200


def test_what_nobody_looks_at_for_a_week_is_removed_and_made_again(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    folder = start.folder_of(Upload.objects.get())
    assert start.old_readings_remove(timezone.now() + timedelta(days=6)) == []
    assert start.old_readings_remove(timezone.now() + timedelta(days=8)) == [folder.path]
    assert not folder.path.exists() and Upload.objects.get().path.exists()
    assert "Rows that can be used" in text(alice_client.get(url))


def test_two_who_save_the_same_rows_at_once_both_get_them(send: Send, alice_client: Client) -> None:
    url = send(good_csv()).json()["url"]
    for name in ("One", "Two"):
        assert alice_client.post(url, {"name": name, **PAIRS}, headers=JSON).status_code == 201
    assert Dataset.objects.count() == 2


def test_the_child_knows_neither_django_nor_a_database() -> None:
    code = "import sys, webapp.datasets.reading.child; print([name for name in sys.modules if 'django' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
