"""What a person sets wrongly is told at the start, not met later."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from webapp.settings import env_choice


def test_a_choice_is_the_first_one_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAFTWORK_HUB", raising=False)
    assert env_choice("GRAFTWORK_HUB", ("members", "admins", "off")) == "members"


def test_a_choice_may_be_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_HUB", "Admins")
    assert env_choice("GRAFTWORK_HUB", ("members", "admins", "off")) == "admins"


def test_a_choice_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_HUB", "everyone")
    with pytest.raises(ImproperlyConfigured, match="say members, admins or off"):
        env_choice("GRAFTWORK_HUB", ("members", "admins", "off"))
