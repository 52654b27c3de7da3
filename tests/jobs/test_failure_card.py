"""What a failed job's page says, for every code there is, and that the fix it offers is really in the form."""

from typing import Any, get_args

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from tests.jobs.made import make_failed
from webapp.accounts.models import User
from webapp.contract.failures import FAILURES, FailureCode
from webapp.jobs.models import Job

FIXES: list[tuple[str, dict[str, Any], str, float]] = [
    ("loss_not_finite", {"learning_rate": 0.5}, "learning_rate", 0.05),
    ("loss_not_finite", {"learning_rate": 1e-6}, "learning_rate", 1e-6),
    ("out_of_memory", {"batch_size": 8}, "batch_size", 4),
    ("out_of_memory", {"batch_size": 1, "max_length": 1024}, "max_length", 512),
]
EXTRAS = [
    ({"quantised": "4bit"}, {"quantised": "no"}),
    ({"optimizer": "adamw_8bit"}, {"optimizer": "adamw"}),
    ({"quantised": "4bit", "optimizer": "adamw_8bit"}, {"quantised": "no", "optimizer": "adamw"}),
]
PLAIN_RETRIES = ["storage_full", "stalled", "worker_lost", "crashed", "our_bug"]


def card(client: Client, job: Job) -> str:
    html = client.get(f"/jobs/{job.id}").content.decode()
    return html[html.index('aria-labelledby="failure"') : html.index('aria-labelledby="curves"')]


@pytest.mark.parametrize("code", get_args(FailureCode))
def test_every_code_has_a_card_with_cause_and_change(alice: User, alice_client: Client, code: FailureCode) -> None:
    html = card(alice_client, make_failed(alice, code, message="It broke at step 3.", evidence="the last line"))
    kind = FAILURES[code]
    for words in (kind.title, kind.cause, kind.change, "It broke at step 3.", "the last line", code):
        assert escape(words) in html
    assert html.count("btn-primary") == 1


@pytest.mark.parametrize(("code", "knobs", "name", "value"), FIXES)
def test_retry_with_this_fix_opens_the_form_with_the_change(
    alice: User, alice_client: Client, code: str, knobs: dict[str, Any], name: str, value: float
) -> None:
    job = make_failed(alice, code, **knobs)
    assert "Retry with this fix" in card(alice_client, job)
    form = alice_client.get(alice_client.get(f"/jobs/{job.id}").context["failure"].fix.url).context["form"]
    assert form.is_valid
    assert form.knobs[name] == value
    assert {knob: form.knobs[knob] for knob in knobs if knob != name} == {
        knob: asked for knob, asked in knobs.items() if knob != name
    }
    assert form.parent == job


@pytest.mark.parametrize(("asked", "fixed"), EXTRAS)
def test_what_a_worker_lacks_is_taken_back(
    alice: User, alice_client: Client, asked: dict[str, Any], fixed: dict[str, Any]
) -> None:
    job = make_failed(alice, "worker_lacks", **asked)
    form = alice_client.get(alice_client.get(f"/jobs/{job.id}").context["failure"].fix.url).context["form"]
    assert form.is_valid and {name: form.knobs[name] for name in fixed} == fixed


def test_a_template_that_failed_is_not_tried_again_but_changed(alice: User, alice_client: Client) -> None:
    html = card(alice_client, make_failed(alice, "template", message="Line 2: it refuses."))
    assert "The chat template cannot lay out the rows" in html and "missing, damaged" not in html
    assert "Train again with changes" in html


def test_a_time_limit_that_was_reached_is_doubled(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "time_limit")
    Job.objects.update(time_limit_seconds=5400)
    assert "Time limit 1.5 h → 3 h" in card(alice_client, job)
    form = alice_client.get(alice_client.get(f"/jobs/{job.id}").context["failure"].fix.url).context["form"]
    assert form.is_valid and form.wishes.time_limit_seconds == 3 * 3600


def test_a_time_limit_shorter_than_the_estimate_is_raised_above_it(alice: User, alice_client: Client) -> None:
    """Twice the limit would run out again: the page itself says that the job takes five hours."""
    job = make_failed(alice, "time_limit")
    estimate = {**job.estimate_json, "seconds": 5 * 3600.0}
    Job.objects.update(time_limit_seconds=3600, estimate_json=estimate)
    assert "Time limit 1 h → 7.5 h (estimated: 5 h 0 min)" in card(alice_client, job)
    form = alice_client.get(alice_client.get(f"/jobs/{job.id}").context["failure"].fix.url).context["form"]
    assert form.is_valid and form.wishes.time_limit_seconds == 7.5 * 3600


@pytest.mark.parametrize("code", PLAIN_RETRIES)
def test_where_no_setting_is_to_blame_it_is_simply_retried(alice: User, alice_client: Client, code: str) -> None:
    html = card(alice_client, make_failed(alice, code))
    assert reverse("job-retry", args=[Job.objects.get().id]) in html
    assert "Retry with this fix" not in html


def test_a_failure_of_the_data_leads_to_the_data(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "data")
    html = card(alice_client, job)
    assert "Look at the dataset" in html
    assert reverse("dataset-detail", args=[job.dataset_version.dataset_id]) in html


def test_a_failure_of_the_base_model_leads_to_the_models(alice: User, alice_client: Client) -> None:
    html = card(alice_client, make_failed(alice, "base_model"))
    assert reverse("base-model-list") in html


def test_a_code_of_a_later_version_still_has_a_way_on(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "from_the_future", message="Odd.")
    html = card(alice_client, job)
    assert "Odd." in html and f"/jobs/new?from={job.id}" in html
