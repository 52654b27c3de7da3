"""A person's Hub token: set, used, deleted, and never seen again."""

import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from webapp import storage
from webapp.accounts.models import User
from webapp.hub_tokens.models import HubToken
from webapp.hub_tokens.services import hub_token_opens, hub_token_set, hub_token_use
from webapp.sealing import key_add

TOKEN = "hf_canary_that_must_not_sing"
URL = "/account/hub-token/"


def page(client: Client) -> str:
    return client.get(URL).content.decode()


def test_it_is_kept_and_never_shown(alice_client: Client, alice: User) -> None:
    assert alice_client.post(URL, {"token": TOKEN}).status_code == 302
    html = page(alice_client)
    assert TOKEN not in html and "not yet" in html and "Replace it" in html
    assert hub_token_use(alice) == TOKEN
    assert "not yet" not in page(alice_client)


def test_each_person_has_their_own(alice_client: Client, alice: User, bob: User) -> None:
    hub_token_set(bob, TOKEN)
    assert hub_token_use(alice) == ""
    assert "Your token" not in page(alice_client)


@pytest.mark.parametrize("token", ["", "short", "with spaces inside", "a" * 201, "tökentöken", "line\nbreak"])
def test_what_is_no_token_is_refused_beside_the_field(alice_client: Client, token: str) -> None:
    response = alice_client.post(URL, {"token": token})
    assert response.status_code == 400 and "id_token_error" in response.content.decode()
    assert not HubToken.objects.exists()


def test_what_was_typed_does_not_come_back(alice_client: Client) -> None:
    assert "canary with" not in alice_client.post(URL, {"token": "canary with spaces"}).content.decode()


def test_it_is_deleted(alice_client: Client, alice: User) -> None:
    hub_token_set(alice, TOKEN)
    alice_client.post(reverse("hub-token-delete"))
    assert hub_token_use(alice) == ""


def test_wrong_verbs_are_refused(alice_client: Client) -> None:
    assert alice_client.get(reverse("hub-token-delete")).status_code == 405
    assert alice_client.put(URL).status_code == 405


def test_the_database_does_not_hold_it_and_the_key_is_its_owners_alone(alice: User, data_dir: Path) -> None:
    hub_token_set(alice, TOKEN)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM hub_tokens_hubtoken")
        assert TOKEN not in str(cursor.fetchall())
    key = storage.hub_token_keys_path()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert TOKEN not in key.read_text()


def test_another_key_opens_nothing_and_the_page_says_so(alice_client: Client, alice: User) -> None:
    hub_token_set(alice, TOKEN)
    storage.hub_token_keys_path().unlink()
    assert hub_token_use(alice) == ""
    assert "can no longer be opened" in page(alice_client)


def test_an_older_key_still_opens(alice: User) -> None:
    hub_token_set(alice, TOKEN)
    key_add()
    assert hub_token_use(alice) == TOKEN


def test_rotation_seals_all_with_a_new_key_and_forgets_the_old(transactional_db: None, alice: User, bob: User) -> None:
    hub_token_set(alice, TOKEN)
    before, sealed = storage.hub_token_keys_path().read_text(), HubToken.objects.get().sealed
    HubToken.objects.create(user=bob, sealed="gAAAAnonsense", set_at="2026-01-01T00:00Z")
    said = StringIO()
    call_command("rotate_sealing_key", stdout=said)
    assert (
        "1 Hub tokens and 0 webhook secrets are sealed" in said.getvalue()
        and "1 Hub tokens could not be opened" in said.getvalue()
    )
    assert hub_token_use(alice) == TOKEN and HubToken.objects.get(user=alice).sealed != sealed
    after = storage.hub_token_keys_path().read_text()
    assert len(after.split()) == 1 and after != before
    storage.hub_token_keys_path().write_text(before)
    assert not hub_token_opens(HubToken.objects.get(user=alice))
