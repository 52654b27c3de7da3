"""A client is known by the address it really has; proxies are believed only where they are configured."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory

from webapp import storage
from webapp.client_address import client_address
from webapp.settings import env_networks
from webapp.workers.rules import Refused
from webapp.workers.services import worker_add
from webapp.workers.views_join import join

PROXIES = ["10.0.0.0/8", "fd00::7"]


@pytest.fixture
def proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network(network) for network in PROXIES]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def address(peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.mark.parametrize("peer", ["203.0.113.9", "127.0.0.1", "10.0.0.1"])
def test_without_proxies_the_header_is_never_believed(peer: str) -> None:
    assert address(peer, "198.51.100.1") == peer


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # no proxy of ours
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the client wrote the first one itself
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies in a row
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),  # a client inside the proxies' own network
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense\t", "10.0.0.1"),
        ("fd00::7", "[2001:db8::1]", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),  # a Unix socket
    ],
)
def test_a_configured_proxy_names_the_client(proxies: None, peer: str, forwarded: str | None, client: str) -> None:
    assert address(peer, forwarded) == client


@pytest.mark.parametrize(("peer", "is_secure"), [("10.0.0.1", True), ("203.0.113.9", False)])
def test_only_a_configured_proxy_can_say_that_the_request_came_by_https(
    proxies: None, alice_client: Client, peer: str, is_secure: bool
) -> None:
    response = alice_client.get("/", headers={"X-Forwarded-Proto": "https"}, REMOTE_ADDR=peer)
    assert response.wsgi_request.is_secure() is is_secure


def test_a_worker_behind_a_proxy_on_this_machine_is_not_taken_for_a_local_one(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local one is told addresses that lead nowhere from elsewhere."""
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    asked = {}

    def answer(_worker: object, *, is_same_machine: bool) -> None:
        asked["is_same_machine"] = is_same_machine
        raise Refused("enough")

    _worker, token = worker_add(name="box")
    monkeypatch.setattr("webapp.workers.views_join.join_answer", answer)
    sent = {"key": "k" * 43, "installation": storage.installation_id(), "host": "box"}
    headers = {"X-Forwarded-For": "198.51.100.1", "Authorization": f"Bearer {token}"}
    join(RequestFactory().post("/workers/join", sent, content_type="application/json", headers=headers))
    assert asked == {"is_same_machine": False}


def test_a_proxy_that_is_no_address_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_TRUSTED_PROXIES", "10.0.0.0/8,*")
    with pytest.raises(ImproperlyConfigured, match=r"GRAFTWORK_TRUSTED_PROXIES.*addresses or networks"):
        env_networks("GRAFTWORK_TRUSTED_PROXIES")
