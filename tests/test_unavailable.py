"""While the database is away every page says so, quickly, with a time to come back, and the log stays readable."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.test import Client

from webapp.accounts.models import User


def away(*_words: object) -> None:
    raise OperationalError("connection refused\n\tIs the server running?")


@pytest.fixture
def client_of_an_outage(alice: User) -> Iterator[Client]:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with connection.execute_wrapper(away):
        yield client


@pytest.mark.parametrize("url", ["/", "/jobs/", "/jobs/new", "/help/", "/admin/"])
def test_a_browser_gets_a_page_that_needs_no_database(client_of_an_outage: Client, url: str) -> None:
    response = client_of_an_outage.get(url)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    html = response.content.decode()
    assert "The database cannot be reached" in html and f'href="{url}"' in html


def test_a_script_gets_a_code(client_of_an_outage: Client) -> None:
    response = client_of_an_outage.post("/jobs/new", {"name": "x"}, headers={"accept": "application/json"})
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response["Retry-After"] == "5"


def test_it_is_logged_in_one_line(client_of_an_outage: Client, caplog: pytest.LogCaptureFixture) -> None:
    client_of_an_outage.get("/jobs/")
    said = caplog.text.strip()
    assert "/jobs/ (the database is away: connection refused Is the server running?)" in said and "\n" not in said


def test_our_own_mistakes_keep_page_and_traceback(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    monkeypatch.setattr("webapp.jobs.views.Paginator", lambda *_words: 1 / 0)
    response = client.get("/jobs/")
    assert response.status_code == 500 and "Something broke on our side" in response.content.decode()
    assert "ZeroDivisionError" in caplog.text
