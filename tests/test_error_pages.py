"""When something goes wrong, the page says what happened and what to do."""

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import server_error

from webapp.accounts.models import User


def test_an_unknown_address(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_an_unknown_address_shows_a_stranger_no_menu(client: Client, db: None) -> None:
    html = client.get("/nowhere").content.decode()
    assert "There is nothing here" in html and reverse("account") not in html


def test_something_only_admins_may_do(client: Client, alice: User) -> None:
    client.force_login(alice)
    response = client.get(reverse("base-model-register"))
    assert response.status_code == 403
    assert "This is for admins" in response.content.decode()


def test_a_form_from_another_session(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    response = client.post(reverse("logout"))
    assert response.status_code == 403
    assert "The form was too old to trust" in response.content.decode()


def test_a_name_the_server_does_not_answer_to(client: Client, db: None) -> None:
    response = client.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "GRAFTWORK_ALLOWED_HOSTS" in response.content.decode()


def test_our_own_mistake_needs_no_database(rf: RequestFactory) -> None:
    response = server_error(rf.get("/"))
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()


@pytest.mark.parametrize("header", ["Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options"])
def test_error_pages_are_as_guarded_as_others(client: Client, db: None, header: str) -> None:
    assert header in client.get("/nowhere").headers
