"""A connection that does not say what it wants is closed. With real sockets."""

import threading
import time
from typing import Any

import pytest

from tests.http.conftest import Answer, Connect, head, is_closed


@pytest.fixture(autouse=True)
def short(settings: Any) -> None:
    settings.HEADER_SECONDS = 1


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_headers_that_never_end_are_given_up(web: Connect, sent: bytes) -> None:
    connection = web()
    connection.sendall(sent)
    assert is_closed(connection)


def test_headers_that_trickle_are_given_up(web: Connect) -> None:
    connection = web()
    connection.sendall(b"GET / HTTP/1.1\r\n")
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(0.1):
            try:
                connection.sendall(b"X-A: b\r\n")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    assert is_closed(connection)
    is_over.set()
    thread.join()


def test_headers_without_end_are_cut_by_their_size(web: Connect, settings: Any) -> None:
    settings.HEADER_SECONDS = 3600
    connection = web()
    connection.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(OSError):
        while True:
            connection.sendall(b"X-A: " + b"b" * 10_000 + b"\r\n")


def test_a_second_request_has_a_time_of_its_own(web: Connect) -> None:
    connection = web()
    connection.sendall(head("/sign-in", method="GET", length=0) + b"\r\n")
    assert Answer(connection).status == 200
    connection.sendall(b"GET /sign-in HTTP/1.1\r\n")
    assert is_closed(connection)


def test_a_body_may_come_later_than_headers_may(web: Connect) -> None:
    connection = web()
    connection.sendall(head("/sign-in", length=3) + b"\r\n")
    time.sleep(1.5)
    connection.sendall(b"a=b")
    assert Answer(connection).status == 403
