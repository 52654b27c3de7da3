"""One's own account."""

from django.test import Client
from django.urls import reverse

from webapp.accounts.models import User

OLD, NEW = "seven lazy otters", "eight brave herons"


def sign_in(client: Client, user: User) -> None:
    user.set_password(OLD)
    user.save()
    client.login(username=user.username, password=OLD)


def change(client: Client, *, old: str = OLD, new: str = NEW) -> object:
    return client.post(reverse("account"), {"old_password": old, "new_password1": new, "new_password2": new})


def test_a_new_password_signs_other_browsers_out_but_not_this_one(client: Client, alice: User) -> None:
    other = Client()
    sign_in(other, alice)
    sign_in(client, alice)
    other.force_login(alice)
    change(client)
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert client.get(reverse("account")).status_code == 200
    assert other.get(reverse("account")).status_code == 302


def test_the_present_password_is_asked_for(client: Client, alice: User) -> None:
    sign_in(client, alice)
    change(client, old="wrong")
    alice.refresh_from_db()
    assert alice.check_password(OLD)


def test_a_short_password_is_refused(client: Client, alice: User) -> None:
    sign_in(client, alice)
    change(client, new="short")
    alice.refresh_from_db()
    assert alice.check_password(OLD)
