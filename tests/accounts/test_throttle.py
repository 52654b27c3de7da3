"""Guessing passwords and tokens is slowed down, for the guesser alone."""

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse

from tests.accounts.test_sign_in import PASSWORD, with_password
from webapp.accounts.models import Allowance, User
from webapp.accounts.services import sign_in_link_create
from webapp.accounts.throttle import PER_ACCOUNT, PER_ADDRESS, allowances_forget
from webapp.clock import database_now

DOORS = ["/sign-in", "/admin/login/"]
HERE, ELSEWHERE = "203.0.113.5", "198.51.100.7"


def sign_in(door: str = "/sign-in", *, name: str = "alice", password: str = "wrong", address: str = HERE) -> Any:
    data = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post(door, data)


def later(span: timedelta) -> None:
    """As if the time had passed."""
    Allowance.objects.update(used_until=F("used_until") - span)


def use_up_account(door: str = "/sign-in", address: str = HERE) -> None:
    assert [sign_in(door, address=address).status_code for _ in range(PER_ACCOUNT.burst)] == [200] * PER_ACCOUNT.burst


@pytest.mark.parametrize("door", DOORS)
def test_after_a_few_wrong_passwords_even_the_right_one_has_to_wait(admin_user: User, door: str) -> None:
    with_password(admin_user)
    answers = [sign_in(door, name="root").status_code for _ in range(100)]
    assert answers == [200] * PER_ACCOUNT.burst + [429] * (100 - PER_ACCOUNT.burst)
    assert sign_in(door, name="root", password=PASSWORD).status_code == 429
    later(PER_ACCOUNT.interval)
    assert sign_in(door, name="root", password=PASSWORD).status_code == 302


def test_both_doors_count_together(alice: User) -> None:
    use_up_account("/admin/login/")
    assert sign_in("/sign-in").status_code == 429


def test_the_answer_says_when_to_try_again(alice: User) -> None:
    use_up_account()
    page = sign_in()
    assert 0 < int(page["Retry-After"]) <= PER_ACCOUNT.interval.total_seconds()
    assert "Try again in" in page.content.decode() and "no-store" in page["Cache-Control"]
    later(timedelta(seconds=int(page["Retry-After"])))
    assert sign_in().status_code == 200


def test_a_script_is_told_in_json(alice: User) -> None:
    use_up_account()
    data = {"username": "alice", "password": "wrong"}
    answer = Client(REMOTE_ADDR=HERE).post("/sign-in", data, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")


def test_nobody_is_locked_out_by_a_guesser_elsewhere(alice: User) -> None:
    with_password(alice)
    for _ in range(100):
        sign_in(address=ELSEWHERE)
    assert sign_in(password=PASSWORD).status_code == 302


def test_one_address_cannot_go_through_many_accounts(alice: User) -> None:
    with_password(alice)
    answers = [sign_in(name=f"person{number}").status_code for number in range(PER_ADDRESS.burst + 5)]
    assert answers == [200] * PER_ADDRESS.burst + [429] * 5
    assert sign_in(password=PASSWORD).status_code == 429
    assert sign_in(password=PASSWORD, address=ELSEWHERE).status_code == 302


def test_tries_that_are_refused_cost_other_people_at_the_address_nothing(alice: User, bob: User) -> None:
    with_password(bob)
    for _ in range(100):
        sign_in()
    assert sign_in(name="bob", password=PASSWORD).status_code == 302


def test_the_addresses_of_one_ipv6_network_are_one(alice: User) -> None:
    for number in range(PER_ACCOUNT.burst):
        sign_in(address=f"2001:db8::{number}")
    assert sign_in(address="2001:db8::ffff:1").status_code == 429
    assert sign_in(address="2001:db8:0:1::1").status_code == 200


def test_right_passwords_are_not_limited(alice: User) -> None:
    with_password(alice)
    assert {sign_in(password=PASSWORD).status_code for _ in range(2 * PER_ADDRESS.burst)} == {302}


def test_a_made_up_forwarded_address_helps_nobody(alice: User) -> None:
    def guess(number: int) -> int:
        client = Client(REMOTE_ADDR=HERE, headers={"X-Forwarded-For": f"198.51.100.{number}"})
        return client.post("/sign-in", {"username": "alice", "password": "wrong"}).status_code

    assert [guess(number) for number in range(10)] == [200] * PER_ACCOUNT.burst + [429] * (10 - PER_ACCOUNT.burst)


def test_people_behind_a_configured_proxy_are_told_apart(alice: User, settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.1")]
    with_password(alice)

    def through_proxy(client_address: str, password: str) -> int:
        client = Client(REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": client_address})
        return client.post("/sign-in", {"username": "alice", "password": password}).status_code

    for _ in range(20):
        through_proxy(ELSEWHERE, "wrong")
    assert through_proxy(ELSEWHERE, PASSWORD) == 429
    assert through_proxy(HERE, PASSWORD) == 302


def test_a_burst_at_once_gets_no_more_tries_than_one_after_another(either_database: str) -> None:
    """A try is counted before the password is checked, and by the database, which all web processes share."""
    with_password(User.objects.create(username="alice"))

    def guess(_: int) -> int:
        try:
            return int(sign_in().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=12) as people:
        answers = Counter(people.map(guess, range(36)))
    assert answers == {200: PER_ACCOUNT.burst, 429: 36 - PER_ACCOUNT.burst}


@pytest.fixture
def alice_here(alice: User) -> Client:
    client = Client(REMOTE_ADDR=HERE)
    client.force_login(with_password(alice))
    return client


def test_a_borrowed_session_cannot_find_out_the_password(alice_here: Client) -> None:
    """The page that changes it compares it too, from the same allowance as signing in."""
    new = "eight brave herons"
    data = {"old_password": "wrong", "new_password1": new, "new_password2": new}
    answers = [alice_here.post(reverse("account"), data).status_code for _ in range(10)]
    assert answers == [200] * PER_ACCOUNT.burst + [429] * (10 - PER_ACCOUNT.burst)
    assert alice_here.post(reverse("account"), {**data, "old_password": PASSWORD}).status_code == 429
    assert sign_in(password=PASSWORD).status_code == 429


def test_the_admin_pages_have_no_second_place_that_compares_it(admin_client: Client) -> None:
    for answer in (admin_client.get("/admin/password_change/"), admin_client.post("/admin/password_change/")):
        assert (answer.status_code, answer["Location"]) == (302, reverse("account"))


def test_one_time_links_cannot_be_guessed_at_leisure(alice: User) -> None:
    link = reverse("welcome", args=[sign_in_link_create(alice)])
    client = Client(REMOTE_ADDR=HERE)
    answers = [client.get(f"/welcome/guess-{number}").status_code for number in range(PER_ADDRESS.burst + 5)]
    assert answers == [410] * PER_ADDRESS.burst + [429] * 5
    assert client.post(link).status_code == 429
    assert Client(REMOTE_ADDR=ELSEWHERE).post(link).status_code == 302


def test_wrong_links_do_not_keep_anybody_from_signing_in(alice: User) -> None:
    with_password(alice)
    for number in range(PER_ADDRESS.burst + 1):
        Client(REMOTE_ADDR=HERE).get(f"/welcome/guess-{number}")
    assert sign_in(password=PASSWORD).status_code == 302


@pytest.mark.parametrize("door", DOORS)
def test_a_failed_attempt_is_in_the_log_on_one_line(alice: User, caplog: pytest.LogCaptureFixture, door: str) -> None:
    with caplog.at_level(logging.WARNING, logger="webapp.accounts.throttle"):
        sign_in(door, name="eve\r\nERROR all is lost\x1b[31m\u202e", password="secret guess")
    (record,) = [record for record in caplog.records if record.name == "webapp.accounts.throttle"]
    said = record.getMessage()
    assert HERE in said and r"eve\r\nERROR all is lost\x1b[31m\u202e" in said
    assert said.isprintable() and "secret guess" not in said


def test_nothing_that_was_typed_is_kept(alice: User) -> None:
    sign_in(name="a-password-in-the-wrong-field")
    assert Allowance.objects.count() == 2
    assert not any("wrong-field" in row.key for row in Allowance.objects.all())


@pytest.mark.parametrize("age", [timedelta(hours=2), timedelta(0)])
def test_allowances_that_are_whole_again_are_forgotten(alice: User, age: timedelta) -> None:
    use_up_account()
    now: Callable[[], datetime] = database_now
    allowances_forget(now() + age)
    assert Allowance.objects.exists() is (age == timedelta(0))
