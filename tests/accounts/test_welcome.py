"""One-time links: the first admin, and an existing person."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from webapp.accounts.models import SignInLink, User
from webapp.accounts.services import sign_in_link_create

GOOD = {"username": "ada", "password": "seven lazy otters", "password_again": "seven lazy otters"}


def welcome_url(user: User | None = None) -> str:
    return reverse("welcome", args=[sign_in_link_create(user)])


def test_the_first_link_makes_an_admin_and_signs_them_in(client: Client, db: None) -> None:
    response = client.post(welcome_url(), GOOD)
    ada = User.objects.get()
    assert response["Location"] == "/"
    assert ada.username == "ada" and ada.is_staff and ada.is_superuser and ada.check_password(GOOD["password"])
    assert client.session["_auth_user_id"] == str(ada.pk)


def test_looking_changes_nothing(client: Client, alice: User) -> None:
    first, hers = welcome_url(), welcome_url(alice)
    for url in (first, first, hers, hers):
        assert client.get(url).status_code == 200
    assert User.objects.get() == alice
    assert not SignInLink.objects.exclude(used_at=None).exists()
    assert "_auth_user_id" not in client.session


def test_a_persons_link_shows_one_button_and_signs_them_in(client: Client, alice: User) -> None:
    url = welcome_url(alice)
    assert "Sign in as alice" in client.get(url).content.decode()
    client.post(url)
    assert client.session["_auth_user_id"] == str(alice.pk)


@pytest.mark.parametrize("verb", ["get", "post"])
def test_a_used_link_is_gone(client: Client, alice: User, verb: str) -> None:
    url = welcome_url(alice)
    client.post(url)
    response = getattr(Client(), verb)(url)
    assert response.status_code == 410
    assert "This link is spent" in response.content.decode()


def test_an_old_link_is_gone(client: Client, alice: User) -> None:
    url = welcome_url(alice)
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(url).status_code == 410


def test_a_made_up_link_is_gone(client: Client, db: None) -> None:
    assert client.get(reverse("welcome", args=["made-up"])).status_code == 410


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"password": "short", "password_again": "short"}, "password", "too short"),
        ({"password": "password1234", "password_again": "password1234"}, "password", "too common"),
        ({"password_again": "seven lazy others"}, "password_again", "The two passwords differ"),
        ({"username": "a b"}, "username", "Enter a valid username"),
        ({"username": ""}, "username", "This field is required"),
        ({"username": "seven-otters", "password": "seven-otters!", "password_again": "seven-otters!"},
         "password", "too similar"),
    ],
)  # fmt: skip
def test_a_poor_choice_is_told_beside_its_field_and_does_not_spend_the_link(
    client: Client, db: None, change: dict[str, str], field: str, says: str
) -> None:
    url = welcome_url()
    response = client.post(url, {**GOOD, **change})
    assert says in " ".join(response.context["form"].errors[field])
    assert f'aria-describedby="id_{field}' in response.content.decode()
    assert not User.objects.exists()
    assert client.post(url, GOOD).status_code == 302


def test_a_taken_name_is_told(client: Client, alice: User) -> None:
    response = client.post(welcome_url(), {**GOOD, "username": "alice"})
    assert "already exists" in response.content.decode()
    assert not alice.is_staff
