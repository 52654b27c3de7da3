"""Help pages say what the contract says, and no link in them leads nowhere."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from webapp.accounts.models import User
from webapp.contract.capabilities import abilities_of
from webapp.contract.failures import FAILURES
from webapp.contract.methods import METHODS, knobs_of
from webapp.contract.promises import PROMISES
from webapp.contract.shortfalls import SHORTFALLS
from webapp.help.pages import PAGES
from webapp.jobs.models import State


@pytest.fixture
def reader(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def text(client: Client, slug: str) -> str:
    response = client.get(reverse("help-page", args=[slug]))
    assert response.status_code == 200
    return response.content.decode()


def test_the_index_leads_to_every_page(reader: Client) -> None:
    index = reader.get(reverse("help")).content.decode()
    for page in PAGES.values():
        assert reverse("help-page", args=[page.slug]) in index
        assert page.title in text(reader, page.slug)


def test_every_method_and_knob_is_explained(reader: Client) -> None:
    html = text(reader, "methods")
    for method in METHODS.values():
        assert f'id="{method.name}"' in html
        for knob in knobs_of(method.name):
            assert escape(knob.sentence) in html


def test_the_table_of_abilities_gives_every_reason(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHORTFALLS, ("ia3", "generate"), "12 points behind LoRA on 600 dates.")
    html = text(reader, "methods")
    for name in METHODS:
        for line in abilities_of(name):
            assert escape(line.why) in html and escape(line.meaning) in html
    assert "12 points behind LoRA on 600 dates." in html


def test_what_is_counted_is_counted_from_what_there_is(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "Two methods" was true once."""
    assert "Three tasks" in text(reader, "how-it-works")
    assert "Two starter models and eight methods are ready." in reader.get("/").content.decode()
    monkeypatch.delitem(METHODS, "full")
    assert "Two starter models and seven methods are ready." in reader.get("/").content.decode()


def test_every_promise_state_and_failure_is_told(reader: Client) -> None:
    html = text(reader, "jobs")
    for promise in PROMISES:
        assert escape(promise.sentence) in html
    for code, kind in FAILURES.items():
        assert code in html and escape(kind.cause) in html
    for state in State:
        assert f'data-state="{state}"' in html


@pytest.mark.parametrize("slug", PAGES)
def test_every_link_to_another_place_in_help_is_good(reader: Client, slug: str) -> None:
    for path, anchor in re.findall(r'href="/help/([a-z-]+)(?:#([a-z-]+))?"', text(reader, slug)):
        assert not anchor or f'id="{anchor}"' in text(reader, path)


def test_only_an_admin_learns_where_the_data_lie(client: Client, alice: User, admin_user: User) -> None:
    for user, learns in ((alice, False), (admin_user, True)):
        client.force_login(user)
        assert ("On this server it is" in text(client, "running")) is learns


def test_an_unknown_page_is_not_found(reader: Client) -> None:
    assert reader.get("/help/nothing").status_code == 404


def test_only_looking_is_allowed(reader: Client) -> None:
    assert reader.post(reverse("help")).status_code == 405
    assert reader.post(reverse("help-page", args=["limits"])).status_code == 405
