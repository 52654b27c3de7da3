"""One POST, to receivers that are down, slow, huge, redirecting, or not what the name said."""

import socket
import time

import pytest

from tests.webhooks.receiver import Receiver, receiving
from webapp.webhooks import address, sending
from webapp.webhooks.sending import MAX_ANSWER, post

pytestmark = pytest.mark.usefixtures("private_allowed")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second instead of five."""
    monkeypatch.setattr(sending, "SECONDS", 1.0)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    with receiving(Receiver(status)) as receiver:
        assert post(receiver.url, b"{}", {"Graftwork-Topic": "x"}) == (status, "")
    [delivery] = receiver.deliveries
    assert (delivery.path, delivery.body) == ("/hook?from=graftwork", b"{}")
    assert delivery.headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_another_status_is_a_failure_that_names_it(status: int) -> None:
    with receiving(Receiver(status)) as receiver:
        assert post(receiver.url, b"{}", {}) == (status, f"It answered {status}.")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiving(Receiver(status)) as receiver:
        answer = post(receiver.url, b"{}", {})
    assert answer.status == status
    assert "Redirects are not followed" in answer.error
    assert [delivery.path for delivery in receiver.deliveries] == ["/hook?from=graftwork"]


def test_where_nobody_listens_it_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert post(f"http://127.0.0.1:{port}/", b"{}", {}) == (None, "No connection: Connection refused.")


@pytest.mark.parametrize("way", ["silent", "drip"])
def test_a_slow_receiver_is_left_at_the_deadline(way: str, short: None) -> None:
    with receiving(Receiver(200, way=way)) as receiver:
        assert post(receiver.url, b"{}", {}) == (None, "No answer within 1 seconds.")
    assert len(receiver.deliveries) == 1


def test_a_body_that_drips_after_a_2xx_ends_at_the_deadline_and_counts_as_taken(short: None) -> None:
    with receiving(Receiver(200, way="dripping_body")) as receiver:
        assert post(receiver.url, b"{}", {}) == (200, "")


def test_of_a_huge_body_only_the_beginning_is_read() -> None:
    with receiving(Receiver(200, way="huge")) as receiver:
        assert post(receiver.url, b"{}", {}) == (200, "")
        time.sleep(0.5)
        sent = receiver.num_bytes_sent
        time.sleep(0.5)
        assert receiver.num_bytes_sent == sent, "it was still read from"
    # What lay in the sockets' buffers beyond what was read.
    assert sent < MAX_ANSWER + 20_000_000


def test_what_is_not_http_is_told_so() -> None:
    with receiving(Receiver(way="gibberish")) as receiver:
        assert post(receiver.url, b"{}", {}) == (None, "The answer was not HTTP.")


def test_the_name_is_resolved_once_and_that_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at the second look (rebinding) finds no second look."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    monkeypatch.setattr(address, "look_up", lambda host: answers.pop(0))
    with receiving(Receiver(200)) as receiver:
        assert post(f"http://receiver.example:{receiver.port}/", b"{}", {}) == (200, "")
    assert receiver.deliveries[0].headers["Host"] == f"receiver.example:{receiver.port}"
    assert answers == [["169.254.169.254"]]


def test_a_dead_first_address_leaves_time_for_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: ["127.0.0.2", "127.0.0.1"])
    with receiving(Receiver(200)) as receiver:
        assert post(f"http://receiver.example:{receiver.port}/", b"{}", {}) == (200, "")


def test_a_name_that_turned_private_is_refused_at_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "look_up", lambda host: ["169.254.169.254"])
    answer = post("http://receiver.example/", b"{}", {})
    assert answer.status is None
    assert "does not lead to an address" in answer.error


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver(200)) as receiver, receiving(Receiver(200)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url, b"{}", {}) == (200, "")
    assert (len(receiver.deliveries), len(proxy.deliveries)) == (1, 0)
