"""The first page: what to do first, then what goes on."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.adapters.verdicts import make_verdict
from tests.factories import make_job, make_version
from webapp.accounts.models import User
from webapp.jobs.figures import LiveFigures
from webapp.jobs.models import State
from webapp.jobs.services import job_move_in_queue, job_pause
from webapp.samples.catalogue import SAMPLES

POLLS = 'hx-trigger="every'


def page(client: Client, user: User, url: str = "/") -> str:
    client.force_login(user)
    return client.get(url).content.decode()


def test_a_newcomer_sees_three_steps_and_the_samples(client: Client, alice: User) -> None:
    html = page(client, alice)
    assert "Welcome, alice" in html and "Bring rows" in html
    assert len(SAMPLES) >= 3
    for sample in SAMPLES.values():
        assert sample.title in html and f'value="{sample.id}"' in html


def test_with_a_dataset_the_next_step_is_a_job(client: Client, alice: User) -> None:
    make_version(alice)
    assert "Set up a job" in page(client, alice)


def test_what_runs_is_shown_with_progress_and_time_left(client: Client, alice: User) -> None:
    live = LiveFigures(sentence="Training: step 3 of 8.", done=3, total=8, total_steps=8, seconds_left=75)
    job = make_job(alice, state=State.RUNNING, live=live.model_dump())
    html = page(client, alice)
    for words in (
        "Training: step 3 of 8.",
        'value="37.5"',
        "about 1 min 15 s left",
        reverse("job-detail", args=[job.id]),
    ):
        assert words in html


def test_a_job_that_only_just_started_has_no_false_figures(client: Client, alice: User) -> None:
    make_job(alice, state=State.STARTING, live={})
    html = page(client, alice)
    assert "Getting ready." in html and "left</span>" not in html


def test_what_waits_stands_in_the_order_of_the_queue(client: Client, alice: User) -> None:
    first, second = make_job(alice), make_job(alice)
    job_move_in_queue(second, "front")
    html = page(client, alice)
    assert html.index(str(second.id)) < html.index(str(first.id))


def test_paused_jobs_are_listed_beside_those_that_wait(client: Client, alice: User) -> None:
    job_pause(make_job(alice))
    html = page(client, alice)
    assert 'data-state="paused"' in html and "Paused <span" in html
    assert POLLS not in html, "it changes only when somebody resumes it"


def test_what_waits_is_counted(client: Client, alice: User) -> None:
    for _ in range(12):
        make_job(alice)
    html = page(client, alice)
    assert ">12</span>" in html
    assert html.count('data-state="queued"') == 10


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"state": State.SUCCEEDED, "verdict_json": make_verdict().model_dump()}, "exact match 4 % → 91 %"),
        ({"state": State.FAILED, "error": {"code": "data", "message": "Row 7 is empty.", "evidence": ""}}, "Row 7 is"),
        ({"state": State.CANCELLED}, "Stopped before it was done."),
    ],
)
def test_what_finished_says_how_it_ended(client: Client, alice: User, fields: dict[str, object], says: str) -> None:
    make_job(alice, finished_at=timezone.now(), **fields)
    assert says in page(client, alice)


def test_the_latest_to_finish_comes_first(client: Client, alice: User) -> None:
    now = timezone.now()
    first = make_job(alice, state=State.CANCELLED, finished_at=now)
    second = make_job(alice, state=State.CANCELLED, finished_at=now - timedelta(hours=1))
    html = page(client, alice)
    assert html.index(str(first.id)) < html.index(str(second.id))


def test_it_refreshes_itself_only_while_something_goes_on(client: Client, alice: User) -> None:
    job = make_job(alice)
    assert POLLS in page(client, alice) and POLLS in page(client, alice, reverse("home-now"))
    type(job).objects.update(state=State.CANCELLED, finished_at=timezone.now())
    assert POLLS not in page(client, alice) and POLLS not in page(client, alice, reverse("home-now"))


def test_the_part_that_refreshes_is_the_same_fragment(client: Client, alice: User) -> None:
    make_job(alice)
    fragment = page(client, alice, reverse("home-now"))
    assert fragment.count('<div id="now"') == 1 and "<html" not in fragment
    assert "Waiting" in fragment


def test_one_sees_only_ones_own_work(client: Client, alice: User, bob: User) -> None:
    job = make_job(alice)
    assert str(job.id) not in page(client, bob) + page(client, bob, reverse("home-now"))


def test_it_tells_what_is_stored(client: Client, alice: User) -> None:
    make_job(alice)
    html = page(client, alice)
    assert "In the data folder" in html and "Free on its disk" in html


def test_only_looking_is_allowed(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/").status_code == client.post(reverse("home-now")).status_code == 405
