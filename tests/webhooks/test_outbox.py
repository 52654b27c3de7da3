"""The outbox: written with what it tells of, sent later, tried again, given up, never sent by two at once."""

import hashlib
import hmac
import json
import math
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.webhooks.receiver import Receiver, receiving
from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.webhooks.models import MAX_TRIES, Notice, Webhook
from webapp.webhooks.sending import Answer, post
from webapp.webhooks.services import (
    MAX_WEBHOOKS,
    TooMany,
    _claim,
    _record,
    notice_retry,
    notices_add,
    notices_deliver,
    webhook_add,
    webhook_test,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_allowed")]

TOPIC = "job.succeeded"
DEAD = "http://127.0.0.1:1/"


def add_one(owner: User, url: str = DEAD, **payload: Any) -> Notice:
    webhook = webhook_add(owner, url)
    notices_add(owner, TOPIC, payload or {"job": "1"})
    return webhook.notices.get()


def later(seconds: float = 0) -> Any:
    return database_now() + timedelta(seconds=seconds)


def test_each_switched_on_webhook_of_the_owner_gets_a_notice(alice: User, bob: User) -> None:
    on, also_on, off = (webhook_add(alice, f"https://example.com/{number}") for number in range(3))
    Webhook.objects.filter(id=off.id).update(is_on=False)
    webhook_add(bob, "https://example.com/bob")
    notices_add(alice, TOPIC, {"job": "1"})
    assert {notice.webhook for notice in Notice.objects.all()} == {on, also_on}


def test_it_costs_one_question_where_nobody_wants_to_know(alice: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        notices_add(alice, TOPIC, {"job": "1"})
    assert not Notice.objects.exists()


def test_what_was_rolled_back_is_not_told(alice: User) -> None:
    webhook_add(alice, DEAD)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        notices_add(alice, TOPIC, {"job": "1"})
        raise ZeroDivisionError
    assert not Notice.objects.exists()


def test_a_loss_that_is_not_finite_does_not_stop_the_job_from_ending(alice: User) -> None:
    notice = add_one(alice, loss=math.nan, best=math.inf, at=timezone.now(), text="ok")
    assert notice.payload["loss"] is None and notice.payload["best"] is None
    assert notice.payload["text"] == "ok"


def test_the_receiver_can_check_the_signature_in_five_lines(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url, name="Ünï")
        assert notices_deliver(later()) == 1
    [delivery] = receiver.deliveries
    time, given = (part.split("=")[1] for part in delivery.headers["Graftwork-Signature"].split(","))
    key = notice.webhook.secret.encode()
    assert hmac.new(key, time.encode() + b"." + delivery.body, hashlib.sha256).hexdigest() == given
    assert abs(int(time) - timezone.now().timestamp()) < 60
    assert delivery.headers["Graftwork-Delivery"] == str(notice.id)
    assert delivery.headers["Graftwork-Topic"] == TOPIC
    told = json.loads(delivery.body)
    assert (told["id"], told["topic"], told["data"]) == (str(notice.id), TOPIC, {"name": "Ünï"})


def test_what_is_delivered_is_not_sent_again(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url)
        notices_deliver(later())
        assert notices_deliver(later(100_000)) == 0
    notice.refresh_from_db()
    assert notice.delivered_at and notice.tries == 1
    assert len(receiver.deliveries) == 1
    webhook = Webhook.objects.get()
    assert (webhook.last_status, webhook.last_error) == (200, "")


def test_after_a_500_the_same_delivery_comes_again(alice: User) -> None:
    with receiving(Receiver(500, 200)) as receiver:
        notice = add_one(alice, receiver.url)
        notices_deliver(later())
        notice.refresh_from_db()
        assert (notice.last_error, notice.delivered_at) == ("It answered 500.", None)
        assert notices_deliver(later(5)) == 0, "10 seconds are not over"
        assert notices_deliver(later(11)) == 1
    notice.refresh_from_db()
    assert notice.delivered_at and notice.last_error == ""
    first, second = receiver.deliveries
    assert first.body == second.body
    assert first.headers["Graftwork-Delivery"] == second.headers["Graftwork-Delivery"]
    assert first.headers["Graftwork-Signature"] != second.headers["Graftwork-Signature"]


def test_waits_double_up_to_an_hour_and_then_it_is_given_up(alice: User) -> None:
    notice, waits = add_one(alice), []
    while not notice.given_up_at:
        now = notice.next_try_at
        assert notices_deliver(now) == 1
        notice.refresh_from_db()
        waits.append((notice.next_try_at - now).total_seconds())
    assert waits[:-1] == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    assert notice.tries == MAX_TRIES
    assert notice.last_error == "No connection: Connection refused."
    assert notices_deliver(later(1_000_000)) == 0


def test_a_given_up_notice_is_tried_again_when_asked(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url)
        assert not notice_retry(notice), "it is not given up"
        Notice.objects.update(given_up_at=timezone.now(), tries=MAX_TRIES)
        assert notices_deliver(later()) == 0
        assert notice_retry(notice)
        assert notices_deliver(later()) == 1
    notice.refresh_from_db()
    assert notice.delivered_at and notice.given_up_at is None


def test_a_sender_that_died_is_followed_by_another(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("webapp.webhooks.services._send", interrupted)
            notices_deliver(later())
        assert notices_deliver(later(30)) == 0, "the first might still be sending"
        assert notices_deliver(later(61)) == 1
    notice.refresh_from_db()
    assert notice.delivered_at and notice.tries == 2


def test_a_sender_that_comes_back_late_does_not_disturb_the_next_but_its_success_counts(alice: User) -> None:
    late, now = add_one(alice), later()
    assert _claim(late, now)
    assert notices_deliver(later(61)) == 1
    _record(late, Answer(None, "Late."), now)
    notice = Notice.objects.get()
    assert (notice.tries, notice.last_error) == (2, "No connection: Connection refused.")
    assert notice.next_try_at > later(61)
    _record(late, Answer(200, ""), now)
    assert Notice.objects.get().delivered_at


def interrupted(*_words: Any, **_named: Any) -> None:
    raise KeyboardInterrupt


def test_a_bug_with_one_notice_does_not_hold_up_the_others(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_for_alice(url: str, body: bytes, headers: dict[str, str]) -> Answer:
        return Answer(None, {}["our mistake"]) if url == DEAD else post(url, body, headers)

    monkeypatch.setattr("webapp.webhooks.services.post", broken_for_alice)
    with receiving(Receiver(200)) as receiver:
        broken, good = add_one(alice), add_one(bob, receiver.url)
        assert notices_deliver(later()) == 2
    broken.refresh_from_db()
    good.refresh_from_db()
    assert good.delivered_at
    assert "Graftwork itself failed" in broken.last_error and broken.next_try_at > later()


def test_more_than_64_kilobytes_are_not_sent(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url, text="x" * 65_536)
        notices_deliver(later())
    notice.refresh_from_db()
    assert "more than 65,536 are not sent" in notice.last_error
    assert receiver.deliveries == []


def test_a_switched_off_webhook_keeps_its_notices_waiting(alice: User) -> None:
    with receiving(Receiver(200)) as receiver:
        notice = add_one(alice, receiver.url)
        Webhook.objects.update(is_on=False)
        assert notices_deliver(later()) == 0
        Webhook.objects.update(is_on=True)
        assert notices_deliver(later()) == 1
    notice.refresh_from_db()
    assert notice.delivered_at


def test_a_slow_receiver_costs_the_others_no_more_than_its_own_time(alice: User, bob: User) -> None:
    with receiving(Receiver(200, way="silent")) as slow, receiving(Receiver(200)) as quick:
        first, second = add_one(alice, slow.url), add_one(bob, quick.url)
        assert notices_deliver(later()) == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.delivered_at
    assert first.last_error == "No answer within 5 seconds."


def test_a_test_is_tried_once_and_says_how_it_went(alice: User) -> None:
    failed = webhook_test(webhook_add(alice, DEAD))
    assert failed.given_up_at and failed.last_error == "No connection: Connection refused."
    with receiving(Receiver(200)) as receiver:
        assert webhook_test(webhook_add(alice, receiver.url)).delivered_at
    assert receiver.deliveries[0].headers["Graftwork-Topic"] == "webhook.test"


def test_old_notices_are_forgotten(alice: User) -> None:
    notice = add_one(alice)
    Notice.objects.update(created_at=later(-31 * 86_400), delivered_at=later())
    notices_deliver(later())
    assert not Notice.objects.filter(id=notice.id).exists()


def test_nobody_has_more_than_five(alice: User, bob: User) -> None:
    for number in range(MAX_WEBHOOKS):
        webhook_add(alice, f"https://example.com/{number}")
    with pytest.raises(TooMany):
        webhook_add(alice, "https://example.com/more")
    assert webhook_add(bob, "https://example.com/") and alice.webhooks.count() == 5
