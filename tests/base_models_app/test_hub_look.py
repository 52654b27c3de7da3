"""Naming a model of the Hub, and what the page shows of it."""

from typing import Any

import pytest
from django.test import Client

from tests.base_models_app.looks import COMMIT, TINY, asked_look, make_look, make_model
from webapp.accounts.models import User
from webapp.errands.models import Errand, Kind, State

ADD = "/models/add"


def page(client: Client, errand: Errand) -> str:
    response = client.get(f"/models/looks/{errand.id}")
    assert response.status_code == 200
    return response.content.decode()


def test_a_name_becomes_an_errand_of_ones_own(alice_client: Client, alice: User) -> None:
    response = alice_client.post(ADD, {"hub_id": f" {TINY} ", "revision": ""})
    errand = Errand.objects.get()
    assert response["Location"] == f"/models/looks/{errand.id}"
    assert (errand.kind, errand.asked_by) == (Kind.LOOK_AT_MODEL, alice)
    assert errand.payload == {"hub_id": TINY, "revision": "main"}


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("hub_id", {"hub_id": ""}),
        ("hub_id", {"hub_id": "gpt2"}),
        ("hub_id", {"hub_id": "../../etc"}),
        ("hub_id", {"hub_id": "http://169.254.169.254/x"}),
        ("hub_id", {"hub_id": "оrg/name"}),
        ("hub_id", {"hub_id": "a" * 5000}),
        ("revision", {"hub_id": TINY, "revision": "../main"}),
    ],
)
def test_what_is_no_name_is_told_beside_the_field(alice_client: Client, field: str, sent: dict[str, str]) -> None:
    response = alice_client.post(ADD, sent)
    assert response.status_code == 400 and f'id="id_{field}_error"' in response.content.decode()
    assert not Errand.objects.exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("HUB", "off", "switched off"), ("HUB", "admins", "Only admins"), ("HUB_IS_OFFLINE", True, "is offline")],
)
def test_who_may_not_is_told_at_once(alice_client: Client, settings: Any, name: str, value: object, says: str) -> None:
    setattr(settings, name, value)
    assert says in alice_client.get(ADD).content.decode()
    assert alice_client.post(ADD, {"hub_id": TINY}).status_code == 400
    assert not Errand.objects.exists()
    assert alice_client.get("/models/").status_code == 200


def test_admins_may_where_only_they_may(admin_client: Client, settings: Any) -> None:
    settings.HUB = "admins"
    assert admin_client.post(ADD, {"hub_id": TINY}).status_code == 302


def test_while_it_is_asked_the_page_waits_and_asks_again(alice_client: Client, alice: User) -> None:
    html = page(alice_client, asked_look(alice))
    assert "None is online just now" in html and "every 1s" in html


def test_what_the_hub_says_is_shown_before_anything_is_fetched(alice_client: Client, alice: User) -> None:
    html = page(alice_client, asked_look(alice, make_look()))
    for words in (
        "2.0 MB in 2 files",
        "apache-2.0",
        "open to everyone",
        "Llama family",
        COMMIT,
        "64 tokens",
        "evil.py",
    ):
        assert words in html
    assert "Fetch 2.0 MB" in html and "every 1s" not in html


def test_what_speaks_against_it_stands_in_place_of_the_button(alice_client: Client, alice: User) -> None:
    gated = make_look(is_gated=True, problem="It is gated. Ask for access at https://hub.example/acme/tiny, then.")
    html = page(alice_client, asked_look(alice, gated))
    assert 'href="https://hub.example/acme/tiny"' in html and "Look again" in html
    assert "Fetch 2.0 MB" not in html


def test_a_refusal_is_shown_with_its_link_and_looked_at_again(alice_client: Client, alice: User) -> None:
    failed = asked_look(
        alice, state=State.FAILED, error="Your token is refused. See https://hub.example/settings/tokens"
    )
    assert 'href="https://hub.example/settings/tokens"' in page(alice_client, failed)
    response = alice_client.post(f"/models/looks/{failed.id}/again")
    again = Errand.objects.exclude(id=failed.id).get()
    assert response["Location"] == f"/models/looks/{again.id}" and again.payload == failed.payload


def test_a_hostile_licence_is_only_text(alice_client: Client, alice: User) -> None:
    html = page(alice_client, asked_look(alice, make_look(licence="<script>alert(1)</script>", left_behind=("<b>",))))
    assert "<script>alert" not in html and "<b>" not in html


def test_a_commit_that_is_here_is_said_to_be(alice_client: Client, alice: User) -> None:
    model = make_model(alice)
    looked = asked_look(alice, make_look())
    assert "here already" in page(alice_client, looked) and "Fetch 2.0 MB" not in page(alice_client, looked)
    (model.path / "config.json").unlink()
    assert "Fetch 2.0 MB" in page(alice_client, looked)


def test_a_look_is_its_askers_alone(bob_client: Client, admin_client: Client, alice: User) -> None:
    errand = asked_look(alice, make_look(is_private=True))
    for client in (bob_client, admin_client):
        assert client.get(f"/models/looks/{errand.id}").status_code == 404
        for verb in ("again", "fetch"):
            assert client.post(f"/models/looks/{errand.id}/{verb}").status_code == 404
