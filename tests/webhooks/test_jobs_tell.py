"""A job that ends tells its owner's webhooks: with its end, or not at all, and without waiting for any receiver."""

import json

import pytest
from django.db import transaction

from tests.factories import make_job
from tests.webhooks.receiver import Receiver, receiving
from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.jobs.models import Job, State
from webapp.jobs.transition import BY_PERSON, transition
from webapp.webhooks.models import Notice
from webapp.webhooks.services import notices_deliver, webhook_add

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_allowed")]


def cancel(job: Job) -> bool:
    return transition(job, State.CANCELLED, actor=BY_PERSON, reason="Cancelled.")


def test_the_end_of_a_job_waits_for_no_receiver_and_is_told_later(alice: User, bob: User) -> None:
    with receiving(Receiver(200, way="silent")) as receiver:
        webhook_add(alice, receiver.url)
        webhook_add(bob, receiver.url)
        job = make_job(alice)
        assert cancel(job)
        assert receiver.deliveries == []
    assert Notice.objects.get().webhook.owner == alice
    with receiving(Receiver(200)) as receiver:
        alice.webhooks.update(url=receiver.url)
        assert notices_deliver(database_now()) == 1
    told = json.loads(receiver.deliveries[0].body)
    assert told["topic"] == "job.cancelled"
    assert (told["data"]["id"], told["data"]["state"]) == (str(job.id), "cancelled")


def test_an_end_that_was_rolled_back_is_not_told(alice: User) -> None:
    webhook_add(alice, "https://example.com/hook")
    job = make_job(alice)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert cancel(job) and Notice.objects.count() == 1
        raise ZeroDivisionError
    job.refresh_from_db()
    assert job.state == State.QUEUED
    assert not Notice.objects.exists()


def test_what_was_not_moved_is_not_told(alice: User) -> None:
    webhook_add(alice, "https://example.com/hook")
    job = make_job(alice)
    stale = Job.objects.get(id=job.id)
    assert cancel(job) and not cancel(stale)
    assert Notice.objects.count() == 1
