"""What a stranger sends is not stored, and what anyone sends has a size and a least rate. With real sockets."""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.databases import using_database
from tests.factories import make_user
from tests.http.conftest import Answer, Connect, file_body, head, open_temporary_files, signed_in_as
from webapp.accounts.models import User
from webapp.datasets.models import Upload
from webapp.limits.models import PersonLimits

MUCH = 150_000_000
CHUNK = b"%x\r\n%s\r\n" % (10_000, b"x" * 10_000)


@pytest.fixture
def alice(sqlite_database: str) -> User:
    return make_user("alice")


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """To this process the disk is full beyond."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("path", ["/datasets/upload", "/jobs/new", "/nowhere"])
def test_a_strangers_large_body_is_refused_before_it_is_sent(web: Connect, path: str) -> None:
    connection = web()
    # Nothing follows the headers, so what answers has read nothing of the body.
    connection.sendall(head(path, length=2_000_000) + b"\r\n")
    answer = Answer(connection)
    assert (answer.status, answer.headers["Location"]) == (302, f"/sign-in?next={path}")
    assert answer.headers["Connection"] == "close" and answer.lacks == []


@pytest.mark.parametrize("path", ["/sign-in", "/admin/login/", "/workers/join", "/welcome/x"])
@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_a_page_open_to_strangers_takes_no_large_body(web: Connect, path: str, accepts: str) -> None:
    connection = web()
    connection.sendall(head(path, length=MUCH, Accept=accepts) + b"\r\n")
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (413, [])
    assert "0.064 MB" in answer.text and ("too_large" in answer.text or "<html" in answer.text)


def test_a_strangers_body_without_a_length_is_cut_and_never_reaches_the_disk(web: Connect, settings: Any) -> None:
    connection = web()
    connection.sendall(head("/datasets/upload") + b"\r\n")
    for _ in range(10):
        connection.sendall(CHUNK)
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (302, [])
    assert open_temporary_files(settings.FILE_UPLOAD_TEMP_DIR) == []


def test_a_body_behind_a_session_that_ended_is_a_strangers(web: Connect, alice: User) -> None:
    headers = signed_in_as(alice)
    User.objects.filter(id=alice.id).update(is_active=False)
    connection = web()
    connection.sendall(head("/datasets/upload", length=MUCH, **headers) + b"\r\n")
    assert Answer(connection).status == 302


def test_a_wrong_csrf_token_is_refused_before_the_body(web: Connect, alice: User) -> None:
    connection = web()
    headers = signed_in_as(alice) | {"X_CSRFToken": "w" * 32}
    connection.sendall(head("/datasets/upload", length=MUCH, **headers) + b"\r\n")
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (403, [])


def test_a_person_uploads_as_before(web: Connect, alice: User, settings: Any) -> None:
    body, kind = file_body(5_000_000)
    connection = web()
    connection.sendall(head("/datasets/upload", length=len(body), **signed_in_as(alice), **kind) + b"\r\n" + body)
    answer = Answer(connection)
    assert (answer.status, Upload.objects.get().size_bytes > 4_900_000) == (302, True)
    assert "/datasets/" in answer.headers["Location"] and answer.headers.get("Connection") != "close"
    while list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()):
        time.sleep(0.02)  # The request is closed after its answer.


def test_a_body_lies_in_the_data_folder_while_it_arrives_and_goes_with_its_sender(
    web: Connect, alice: User, settings: Any
) -> None:
    body, kind = file_body(5_000_000)
    connection = web()
    connection.sendall(head("/datasets/upload", length=MUCH, **signed_in_as(alice), **kind) + b"\r\n" + body)
    while not open_temporary_files(settings.FILE_UPLOAD_TEMP_DIR):
        time.sleep(0.02)
    connection.close()
    while open_temporary_files(settings.FILE_UPLOAD_TEMP_DIR):
        time.sleep(0.02)
    assert not Upload.objects.exists()


def test_only_the_upload_takes_more_than_a_form(web: Connect, alice: User) -> None:
    connection = web()
    connection.sendall(head("/jobs/new", length=10_000_000, **signed_in_as(alice)) + b"\r\n")
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (413, [])


@pytest.mark.parametrize("length", [250_000_000, None])
def test_a_file_over_the_limit_is_cut(web: Connect, alice: User, settings: Any, length: int | None) -> None:
    settings.UPLOAD_LIMIT_BYTES = 1_000_000
    connection = web()
    headers = signed_in_as(alice) | {"Accept": "application/json"}
    connection.sendall(head("/datasets/upload", length=length, **headers) + b"\r\n")
    if length is None:
        # More than is taken, so the answer comes although the body never ends.
        connection.sendall(CHUNK * 210)
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (413, [])
    assert "larger than 1 MB" in answer.text and '"code": "too_large"' in answer.text


def test_a_large_file_is_refused_early_where_the_persons_room_is_used_up(web: Connect, alice: User) -> None:
    PersonLimits.objects.create(user=alice, stored_mb=1)
    connection = web()
    headers = signed_in_as(alice) | {"Accept": "application/json"}
    connection.sendall(head("/datasets/upload", length=MUCH, **headers) + b"\r\n")
    answer = Answer(connection)
    assert (answer.status, answer.lacks) == (429, [])
    assert answer.headers["Retry-After"] and "stored_bytes" in answer.text


def test_a_body_that_trickles_is_given_up_and_nobody_else_waits(web: Connect, settings: Any) -> None:
    settings.BODY_SECONDS = 1
    slow = web()
    slow.sendall(head("/sign-in", length=1000) + b"\r\nx")
    other = web()
    other.sendall(head("/sign-in", method="GET", length=0) + b"\r\n")
    assert Answer(other).status == 200
    answer = Answer(slow)
    assert (answer.status, answer.headers["Connection"], answer.lacks) == (408, "close", [])


def test_ten_bytes_a_second_are_too_few(web: Connect, settings: Any) -> None:
    settings.BODY_SECONDS = 1
    connection = web()
    connection.sendall(head("/sign-in", length=1000) + b"\r\n")
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(0.1):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    assert Answer(connection).status == 408
    is_over.set()
    thread.join()


def test_a_body_may_take_long_while_it_keeps_coming(web: Connect, settings: Any) -> None:
    settings.BODY_SECONDS, settings.BODY_BYTES_PER_SECOND = 1, 1
    connection = web()
    connection.sendall(head("/datasets/upload", length=1100) + b"\r\n" + b"x" * 100)
    for _ in range(10):
        time.sleep(0.2)
        connection.sendall(b"x" * 100)
    assert Answer(connection).status in (302, 403)


def test_while_the_database_is_away_nobody_is_let_in(web: Connect, alice: User) -> None:
    headers = signed_in_as(alice)
    with using_database("sqlite:////nowhere/at/all.sqlite3", migrate=False):
        connection = web()
        connection.sendall(head("/datasets/upload", length=MUCH, **headers) + b"\r\n")
        answer = Answer(connection)
    assert (answer.status, answer.headers["Retry-After"], answer.lacks) == (503, "5", [])


def test_a_disk_that_fills_while_a_body_arrives_is_said_on_a_page(web: Connect, alice: User) -> None:
    body, kind = file_body(8_000_000)
    headers = signed_in_as(alice)
    with largest_file(4_000_000):
        connection = web()
        connection.sendall(head("/datasets/upload", length=len(body), **headers, **kind) + b"\r\n" + body)
        answer = Answer(connection)
    assert (answer.status, answer.lacks) == (507, [])
    assert "The disk is full" in answer.text and not Upload.objects.exists()
