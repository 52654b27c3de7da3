"""The list of jobs."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import make_job
from tests.jobs.made import make_failed, make_running, make_succeeded
from webapp.accounts.models import User
from webapp.jobs.models import Job
from webapp.jobs.services import job_cancel, job_pause

URL = "/jobs/"


def page(client: Client, query: str = "") -> str:
    response = client.get(URL + query)
    assert response.status_code == 200
    return str(response.content.decode())


def rename(job: Job, name: str) -> None:
    Job.objects.filter(id=job.id).update(name=name)


@pytest.fixture
def one_of_each(alice: User) -> None:
    rename(make_succeeded(alice), "the good one")
    rename(make_failed(alice, "data", message="Line 3 is odd."), "the bad one")
    cancelled = make_job(alice)
    job_cancel(cancelled)
    rename(cancelled, "the stopped one")
    rename(make_running(alice), "the busy one")
    rename(make_job(alice), "the patient one")
    paused = make_job(alice)
    job_pause(paused)
    rename(paused, "the resting one")


def test_without_jobs_it_leads_to_the_first(alice_client: Client) -> None:
    html = page(alice_client)
    assert "No jobs yet" in html and 'href="/jobs/new"' in html


@pytest.mark.usefixtures("one_of_each")
def test_each_job_says_how_far_it_is_or_what_came_of_it(alice_client: Client) -> None:
    html = page(alice_client)
    for words in (
        "4.0 % → 91.0 %",
        "Better",
        "Line 3 is odd.",
        "about 1 min 15 s left",
        "Queued",
        "Cancelled",
        "Paused",
    ):
        assert words in html
    assert 'hx-trigger="every 4s"' in html


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize(
    ("state", "name"),
    [("succeeded", "the good one"), ("failed", "the bad one"), ("cancelled", "the stopped one"),
     ("active", "the busy one"), ("queued", "the patient one"), ("paused", "the resting one")],
)  # fmt: skip
def test_it_can_be_filtered_by_state(alice_client: Client, state: str, name: str) -> None:
    lines = alice_client.get(URL, {"state": state}).context["lines"]
    assert [line.job.name for line in lines] == [name]


@pytest.mark.usefixtures("one_of_each")
@pytest.mark.parametrize("query", ["?state=x", "?state=owner__password", "?page=-1", "?page=x", "?page=999999"])
def test_nonsense_in_the_address_shows_all(alice_client: Client, query: str) -> None:
    assert len(alice_client.get(URL + query).context["lines"]) == 6


def test_a_filter_that_finds_nothing_says_so(alice: User, alice_client: Client) -> None:
    make_job(alice)
    assert "No job is in this state." in page(alice_client, "?state=failed")


@pytest.mark.usefixtures("one_of_each")
def test_one_sees_only_ones_own_and_an_admin_all(bob_client: Client, admin_client: Client) -> None:
    assert "No jobs yet" in page(bob_client)
    html = page(admin_client)
    assert "the good one" in html and '<td class="max-lg:hidden">alice</td>' in html


def test_many_jobs_come_in_pages_with_few_queries(alice: User, alice_client: Client) -> None:
    job = make_succeeded(alice)
    copies = []
    for _ in range(60):
        copy = Job.objects.get(id=job.id)
        copy.pk, copy._state.adding = Job._meta.pk.get_default(), True
        copies.append(copy)
    Job.objects.bulk_create(copies)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        html = page(alice_client, "?state=succeeded")
    assert len(queries) < 10
    assert "1 to 50 of 61 jobs" in html and "?state=succeeded&amp;page=2" in html


def test_waiting_jobs_say_where_they_stand_and_own_ones_can_be_moved(
    alice: User, bob: User, alice_client: Client
) -> None:
    jobs = [make_job(owner) for owner in (bob, alice, alice)]
    lines = {line.job.id: line.place for line in alice_client.get(URL).context["lines"]}
    assert [lines[job.id].num_ahead for job in jobs[1:]] == [1, 2]
    html = page(alice_client)
    assert "2 before it" in html and f'id="up-{jobs[2].id}"' in html
    assert (lines[jobs[1].id].own.is_first, lines[jobs[2].id].own.is_last) == (True, True)


def test_a_lone_waiting_job_has_nothing_to_pass(alice: User, bob: User, admin_client: Client) -> None:
    job, _other = make_job(alice), make_job(bob)
    assert "Next" in page(admin_client) and f'id="up-{job.id}"' not in page(admin_client)


def test_what_was_asked_stands_in_the_list(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    job_pause(job)
    assert "Pausing" in page(alice_client)
    job_cancel(job)
    assert "Cancelling" in page(alice_client)


def test_a_list_of_paused_jobs_is_not_asked_for_again_and_again(alice: User, alice_client: Client) -> None:
    job_pause(make_job(alice))
    assert "hx-trigger" not in page(alice_client)
