"""The list of adapters."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.adapters.made import make_adapter, make_many
from webapp.accounts.models import User

URL = "/adapters/"


def page(client: Client, user: User, query: str = "") -> str:
    client.force_login(user)
    return client.get(URL + query).content.decode()


def test_it_shows_the_latest_version_with_its_verdict(client: Client, alice: User) -> None:
    make_adapter(alice)
    version = make_adapter(alice)
    html = page(client, alice)
    for words in ("First", ">v2<", "Better", "4.0 % → 91.0 %", "SmolLM2 135M Instruct", "LoRA", "1.0 MB"):
        assert words in html
    assert reverse("adapter-download", args=[version.id]) in html


def test_one_sees_only_ones_own(client: Client, alice: User, bob: User) -> None:
    version = make_adapter(alice)
    assert str(version.adapter_id) not in page(client, bob)
    assert "No adapters yet" in page(client, bob)


def test_an_admin_sees_all_with_their_owners(client: Client, alice: User, admin_user: User) -> None:
    make_adapter(alice)
    html = page(client, admin_user)
    assert "First" in html and "alice" in html


def test_it_asks_the_database_no_more_for_many_than_for_one(client: Client, alice: User) -> None:
    make_adapter(alice)
    page(client, alice)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(URL)
    make_many(alice, 20)
    with CaptureQueriesContext(connection) as many:
        client.get(URL)
    assert len(many) == len(one)


@pytest.mark.parametrize("page_number", ["2", "999", "-1", "x", "1e9"])
def test_any_page_number_gives_a_page(client: Client, alice: User, page_number: str) -> None:
    make_many(alice, 51)
    html = page(client, alice, f"?page={page_number}")
    assert "of 51 adapters" in html


def test_only_looking_is_allowed(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post(URL).status_code == 405
