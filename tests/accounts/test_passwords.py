"""How passwords are kept, and which are refused, wherever one is set."""

import io
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher, make_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from webapp import settings as our_settings
from webapp.accounts.models import User
from webapp.accounts.services import sign_in_link_create

PASSWORD = "seven lazy otters"
POOR = [
    ("short", "too short"),
    ("password1234", "too common"),
    ("8361947205182", "entirely numeric"),
    ("root-root-root", "too similar"),
]


@pytest.fixture(autouse=True)
def real_hashers(settings: Any, quick_hashes: None) -> None:
    settings.PASSWORD_HASHERS = our_settings.PASSWORD_HASHERS


def sign_in(name: str) -> int:
    return int(Client().post("/sign-in", {"username": name, "password": PASSWORD}).status_code)


def test_a_new_password_is_kept_as_argon2(admin_client: Client, admin_user: User) -> None:
    admin_user.set_password(PASSWORD)
    assert admin_user.password.startswith("argon2$argon2id$")


def test_an_older_hash_is_replaced_when_its_owner_signs_in(alice: User) -> None:
    alice.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    alice.save()
    assert sign_in("alice") == 302
    alice.refresh_from_db()
    assert identify_hasher(alice.password).algorithm == "argon2"
    assert alice.check_password(PASSWORD) and sign_in("alice") == 302


@pytest.mark.parametrize(("poor", "says"), POOR)
def test_a_poor_password_is_refused_on_every_page_that_sets_one(
    admin_client: Client, admin_user: User, poor: str, says: str
) -> None:
    admin_user.username = "root-root"
    admin_user.set_password(PASSWORD)
    admin_user.save()
    admin_client.force_login(admin_user)
    twice = {"password1": poor, "password2": poor, "usable_password": "true"}
    pages = {
        reverse("welcome", args=[sign_in_link_create(None)]): {
            "username": "root-root-2", "password": poor, "password_again": poor
        },
        reverse("account"): {"old_password": PASSWORD, "new_password1": poor, "new_password2": poor},
        reverse("admin:auth_user_password_change", args=[admin_user.pk]): twice,
        reverse("admin:accounts_user_add"): {"username": "root-root-2", **twice},
    }  # fmt: skip
    for url, data in pages.items():
        response = admin_client.post(url, data)
        assert response.status_code == 200 and says in response.content.decode(), url
    admin_user.refresh_from_db()
    assert admin_user.check_password(PASSWORD) and User.objects.count() == 1


@pytest.mark.parametrize(("poor", "says"), POOR)
def test_a_poor_password_is_refused_on_the_command_line(
    db: None, monkeypatch: pytest.MonkeyPatch, poor: str, says: str
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", poor)
    with pytest.raises(CommandError, match=says):
        call_command("createsuperuser", username="root-root", email="", interactive=False)
    assert not User.objects.exists()


def test_the_command_line_cannot_be_talked_into_a_poor_password(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django asks "Bypass password validation?" and would take a yes."""
    monkeypatch.setattr("getpass.getpass", lambda *_: "short")
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(CommandError, match="too short"):
        call_command("createsuperuser", username="root", email="", interactive=True, stdin=_Terminal())
    assert not User.objects.exists()


def test_a_good_password_makes_a_superuser(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", username="root", email="", interactive=False, stdout=io.StringIO())
    assert User.objects.get().check_password(PASSWORD)


def test_code_that_makes_a_person_meets_the_same_rules(db: None) -> None:
    with pytest.raises(ValidationError):
        User.objects.create_user("carol", password="12345678901234567")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
