"""A disabled account: nothing it asked for begins, small running work stops, and what runs as a job is finished."""

from datetime import timedelta

import pytest
from django.test import Client

from tests.conftest import signed_in
from tests.factories import make_job, make_worker
from tests.jobs.made import claim
from webapp.accounts.models import User
from webapp.accounts.services import sign_in_link_create
from webapp.clock import database_now
from webapp.errands.attempts import errand_beat, errand_claim
from webapp.errands.models import Errand, Kind
from webapp.errands.services import errand_ask
from webapp.jobs.attempts import job_claim, job_record
from webapp.jobs.models import Job, State
from webapp.jobs.queue import queue_now
from webapp.jobs.reconcile import leases_expire
from webapp.jobs.waiting import waiting_now
from webapp.webhooks.models import Notice
from webapp.webhooks.services import notices_add, webhook_add

pytestmark = pytest.mark.django_db


def set_active(user: User, is_active: bool) -> None:
    User.objects.filter(pk=user.pk).update(is_active=is_active)


def test_queued_jobs_do_not_start_and_start_once_the_account_is_enabled(alice: User, bob: User) -> None:
    hers, his = make_job(alice), make_job(bob)
    set_active(alice, False)
    assert [waiting.id for waiting in queue_now()] == [his.id]
    assert claim().id == his.id
    assert job_claim(make_worker("two")) is None
    set_active(alice, True)
    assert claim("two").id == hers.id


def test_an_account_disabled_between_reading_the_queue_and_the_claim_gets_no_worker(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(alice)
    queue = queue_now()
    monkeypatch.setattr("webapp.jobs.attempts.queue_now", lambda: queue)
    set_active(alice, False)
    assert job_claim(make_worker()) is None
    assert Job.objects.get().state == State.QUEUED


def test_a_job_says_why_it_does_not_start(alice: User, admin_client: Client) -> None:
    job = make_job(alice)
    make_worker()
    set_active(alice, False)
    job = Job.objects.get(id=job.id)
    assert "the account of alice is disabled" in waiting_now(job).sentence
    assert "the account of alice is disabled" in admin_client.get(f"/jobs/{job.id}").content.decode()
    assert admin_client.get("/jobs/?state=queued").status_code == 200
    assert admin_client.get("/").status_code == 200
    assert "1 job waits" not in admin_client.get("/workers/").content.decode()


def test_a_running_job_goes_on_but_is_not_tried_again_after_a_crash(alice: User) -> None:
    make_job(alice)
    job = claim()
    set_active(alice, False)
    assert job_record(job, []).is_mine
    leases_expire(database_now() + timedelta(days=1))
    Job.objects.update(not_before=None)
    assert Job.objects.get().state == State.QUEUED
    assert job_claim(make_worker("two")) is None


def test_small_work_does_not_begin_and_begins_once_the_account_is_enabled(alice: User) -> None:
    errand_ask(alice, Kind.PREVIEW, {})
    set_active(alice, False)
    assert errand_claim(make_worker(), [Kind.PREVIEW]) is None
    set_active(alice, True)
    assert errand_claim(make_worker(), [Kind.PREVIEW])


def test_small_work_that_runs_is_stopped_and_not_taken_up_by_another_worker(alice: User) -> None:
    errand_ask(alice, Kind.FETCH_MODEL, {})
    errand = errand_claim(make_worker(), [Kind.FETCH_MODEL])
    assert errand and not errand_beat(errand).wants_stop
    set_active(alice, False)
    assert errand_beat(errand).wants_stop
    Errand.objects.update(lease_until=database_now() - timedelta(seconds=1))
    assert errand_claim(make_worker("two"), [Kind.FETCH_MODEL]) is None


def test_webhooks_are_not_called(alice: User) -> None:
    webhook_add(alice, "https://example.com/")
    notices_add(alice, "job.succeeded", {})
    later = database_now() + timedelta(seconds=1)
    assert Notice.objects.due(later).count() == 1
    set_active(alice, False)
    assert Notice.objects.due(later).count() == 0


def test_a_session_ends_with_the_next_request_and_a_one_time_link_lets_nobody_in(alice: User) -> None:
    client, link = signed_in(alice), f"/welcome/{sign_in_link_create(alice)}"
    assert client.get("/").status_code == 200
    set_active(alice, False)
    assert client.get("/")["Location"].startswith("/sign-in")
    assert Client().post(link).status_code == 410
