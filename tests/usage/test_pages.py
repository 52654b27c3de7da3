"""Limits are shown as bars to whom they are set, and set by admins."""

import pytest
from django.test import Client

from tests.factories import make_job, make_version
from tests.jobs.made import claim
from webapp.accounts.models import User
from webapp.limits.limits import limits_of
from webapp.limits.models import InstallationLimits, PersonLimits


def html(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def test_a_person_sees_what_they_use_of_each_limit(alice: User, alice_client: Client) -> None:
    PersonLimits.objects.create(user=alice, running_jobs=2, queued_jobs=5, stored_mb=10, uploads_per_minute=0)
    make_job(alice)
    make_job(alice)
    claim()
    page = html(alice_client, "/account")
    for label in ("Running jobs: 1 of 2", "Waiting and paused jobs: 1 of 5", "of 10.0 MB"):
        assert label in page
    assert page.count("<progress") == 3 and "0, no limit" in page
    assert "1 of 2" in html(alice_client, "/")


@pytest.mark.parametrize(("most", "is_shown"), [(4, False), (1, True)])
def test_a_limit_that_is_nearly_used_up_stands_by_the_button(
    alice: User, alice_client: Client, most: int, is_shown: bool
) -> None:
    PersonLimits.objects.create(user=alice, queued_jobs=most, uploads_per_minute=0)
    make_version(alice)
    make_job(alice)
    assert ("Waiting and paused jobs" in html(alice_client, "/jobs/new")) is is_shown
    assert "data-usage-near" not in html(alice_client, "/datasets/")
    PersonLimits.objects.update(stored_mb=1)
    alice.upload_set.create(file_name="big", size_bytes=900_000, sha256="", columns=[], num_rows=0)
    assert "data-usage-near" in html(alice_client, "/datasets/")


def test_an_admin_sets_limits_of_one_person_and_of_everyone(
    alice: User, bob: User, admin_client: Client, alice_client: Client
) -> None:
    assert admin_client.post(f"/people/{alice.id}", {"queued_jobs": "3", "stored_mb": "0"}).status_code == 302
    assert admin_client.post("/people/everyone", {"queued_jobs": "7", "stored_mb": "500"}).status_code == 302
    assert (limits_of(alice.id).queued_jobs, limits_of(bob.id).queued_jobs) == (3, 7)
    assert (limits_of(alice.id).stored_bytes, limits_of(bob.id).stored_bytes) == (0, 500_000_000)
    page = html(admin_client, "/people/")
    assert "0 of 3" in page and "0 of 7" in page
    assert "Default: 7" in html(admin_client, f"/people/{bob.id}")
    assert admin_client.post(f"/people/{alice.id}", {"queued_jobs": ""}).status_code == 302
    assert limits_of(alice.id).queued_jobs == 7


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "1" * 30, "100000001"])
def test_a_limit_that_is_no_number_is_refused(alice: User, admin_client: Client, value: str) -> None:
    for url in (f"/people/{alice.id}", "/people/everyone"):
        answer = admin_client.post(url, {"queued_jobs": value})
        assert answer.status_code == 400 and "field-error" in answer.content.decode()
    assert not PersonLimits.objects.exists() and not InstallationLimits.objects.exists()


def test_only_admins_set_limits(alice: User, alice_client: Client) -> None:
    for url in ("/people/", f"/people/{alice.id}", "/people/everyone"):
        assert alice_client.get(url).status_code == alice_client.post(url, {"queued_jobs": "0"}).status_code == 403
    assert limits_of(alice.id).queued_jobs == 200
    assert "/people/" not in html(alice_client, "/account")


def test_nobody_of_this_number(admin_client: Client) -> None:
    assert admin_client.get("/people/999").status_code == 404


def test_djangos_admin_sets_them_too(alice: User, admin_client: Client) -> None:
    answer = admin_client.post("/admin/limits/personlimits/add/", {"user": alice.id, "running_jobs": "2"})
    assert (answer.status_code, limits_of(alice.id).running_jobs) == (302, 2)
