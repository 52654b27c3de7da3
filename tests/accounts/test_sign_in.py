"""Signing in and out."""

from django.test import Client
from django.urls import reverse

from webapp.accounts.models import User

PASSWORD = "seven lazy otters"


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


def test_the_right_password_lets_in(client: Client, alice: User) -> None:
    with_password(alice)
    response = client.post(reverse("login"), {"username": alice.username, "password": PASSWORD})
    assert response.status_code == 302 and response["Location"] == "/"
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_a_wrong_password_is_told_without_saying_which_part_is_wrong(client: Client, alice: User) -> None:
    response = client.post(reverse("login"), {"username": alice.username, "password": "wrong"})
    assert "User name and password do not match." in response.content.decode()


def test_one_goes_on_to_the_page_one_wanted(client: Client, alice: User) -> None:
    with_password(alice)
    data = {"username": alice.username, "password": PASSWORD, "next": "/models/"}
    assert client.post(reverse("login"), data)["Location"] == "/models/"


def test_it_never_sends_one_to_another_site(client: Client, alice: User) -> None:
    with_password(alice)
    data = {"username": alice.username, "password": PASSWORD, "next": "https://elsewhere.example/"}
    assert client.post(reverse("login"), data)["Location"] == "/"


def test_signing_out_needs_a_post(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(reverse("logout")).status_code == 405
    assert "_auth_user_id" in client.session
    assert client.post(reverse("logout"))["Location"] == reverse("login")
    assert "_auth_user_id" not in client.session


def test_the_page_names_no_user_and_shows_no_menu(client: Client, db: None) -> None:
    page = client.get(reverse("login")).content.decode()
    assert "Sign in" in page
    assert reverse("account") not in page
