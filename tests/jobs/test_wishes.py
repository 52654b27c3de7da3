"""“How it is queued and run” in the page “New job”, and a request that is sent twice."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_job, make_version, make_worker
from tests.jobs.made import fields_for, lay_checkpoint, make_failed
from webapp import storage
from webapp.accounts.models import User
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.devices import Device
from webapp.jobs.accept import job_retry
from webapp.jobs.checkpoints import SEEDS
from webapp.jobs.forms import JobForm
from webapp.jobs.models import Job, Priority
from webapp.jobs.services import job_cancel

URL = "/jobs/new"
JSON = {"HTTP_ACCEPT": "application/json"}


def wishes(job: Job) -> tuple[int, list[str], int, int]:
    return job.priority, job.needs_labels, job.needs_memory_bytes, job.time_limit_seconds


def test_wishes_reach_the_job(alice: User, alice_client: Client) -> None:
    wanted = {"priority": "low", "needs_labels": " Fast, eu,fast ", "memory_gb": "24", "time_limit_hours": "1.5"}
    alice_client.post(URL, fields_for(make_version(alice), **wanted))
    job = Job.objects.get()
    assert wishes(job) == (Priority.LOW, ["fast", "eu"], 24_000_000_000, 5400)
    html = alice_client.get(f"/jobs/{job.id}").content.decode()
    for words in ("fast, eu", "24 GB", "1.5 h", "Low"):
        assert words in html


def test_a_script_may_send_numbers_and_a_list(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), needs_labels=["eu"], memory_gb=0.5, time_limit_hours=2)
    assert alice_client.post(URL, json.dumps(fields), content_type="application/json").status_code == 201
    assert wishes(Job.objects.get()) == (Priority.NORMAL, ["eu"], 500_000_000, 7200)


def test_without_wishes_any_worker_does(alice: User, alice_client: Client) -> None:
    alice_client.post(URL, fields_for(make_version(alice), priority="", needs_labels=" ", memory_gb=""))
    assert wishes(Job.objects.get()) == (Priority.NORMAL, [], 0, 0)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("priority", "first", "choose one of low, normal, high"),
        ("priority", "high", "only an admin"),
        ("priority", 1, "choose one of"),
        ("needs_labels", "grün", "cannot be a label"),
        ("needs_labels", ",".join(f"l{number}" for number in range(11)), "These are 11 labels"),
        ("needs_labels", [1], "words with commas"),
        ("memory_gb", "0", "out of range"),
        ("memory_gb", "much", "must be a number"),
        ("memory_gb", "nan", "must be a number"),
        ("time_limit_hours", "-1", "out of range"),
        ("time_limit_hours", "1e9", "out of range"),
        ("time_limit_hours", True, "must be a number"),
        ("parent", "x", "earlier job is not there"),
    ],
)
def test_a_wrong_wish_is_told_beside_its_field(
    alice: User, alice_client: Client, field: str, value: object, message: str
) -> None:
    fields = fields_for(make_version(alice), **{field: value})
    response = alice_client.post(URL, json.dumps(fields), content_type="application/json")
    assert response.status_code == 422
    assert message in " ".join(response.json()["fields"][field])
    if isinstance(value, str) and field != "parent":
        assert f'id="id_{field}_error"' in alice_client.post(URL, fields).content.decode()
    assert not Job.objects.exists()


def test_an_admin_gives_high_priority(admin_user: User, admin_client: Client) -> None:
    admin_client.post(URL, fields_for(make_version(admin_user), priority="high"))
    assert Job.objects.get().priority == Priority.HIGH


def test_drafts_keep_wishes_and_the_review_shows_them(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), needs_labels="fast", memory_gb="24", time_limit_hours="x")
    response = alice_client.get(URL, fields, HTTP_HX_REQUEST="true")
    html = response.content.decode()
    assert 'value="fast"' in html and "<dd>24 GB</dd>" in html and "Time limit: must be a number" in html
    assert "needs_labels=fast" in response["HX-Replace-Url"] and "idempotency" not in response["HX-Replace-Url"]


def test_that_no_worker_fits_is_a_warning_and_no_error(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), memory_gb="24")
    assert "none is running" in alice_client.get(URL, fields).content.decode()
    make_worker()
    assert "It would not start right now: waiting for a worker with 24 GB." in (
        alice_client.get(URL, fields).content.decode()
    )
    assert "would-wait" not in alice_client.get(URL, {**fields, "memory_gb": "1"}).content.decode()
    assert alice_client.post(URL, fields).status_code == 302


# Made of an earlier job.


def test_training_again_keeps_wishes_and_remembers_the_earlier_job(alice: User, alice_client: Client) -> None:
    earlier = make_job(
        alice, needs_labels=["eu"], time_limit_seconds=3600, needs_memory_bytes=10**9, priority=Priority.HIGH
    )
    form = alice_client.get(URL, {"from": str(earlier.id)}).context["form"]
    assert (form.wishes.needs_labels, form.wishes.time_limit_seconds) == (["eu"], 3600)
    assert form.wishes.priority == Priority.NORMAL, "high is not alice's to give"
    alice_client.post(URL, {**form.sent, "name": "Second"})
    assert Job.objects.get(name="Second").parent == earlier


def test_a_strangers_job_is_no_parent(bob: User, alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice), parent=str(make_job(bob).id))
    assert alice_client.post(URL, fields, **JSON).status_code == 422


def test_with_nothing_changed_that_is_trained_it_goes_on_from_the_earlier_checkpoint(
    alice: User, alice_client: Client
) -> None:
    earlier = make_failed(alice, "time_limit")
    lay_checkpoint(earlier, 6)
    response = alice_client.get(URL, {"from": str(earlier.id), "time_limit_hours": "4"})
    assert "checkpoint at step 6" in response.content.decode()
    alice_client.post(URL, {**response.context["form"].sent, "name": "Longer"})
    job = Job.objects.get(name="Longer")
    assert job.time_limit_seconds == 4 * 3600
    assert [one.manifest.step for one in checkpoints_in(storage.attempt_dir(job.id, SEEDS))] == [6]


def test_with_another_recipe_it_begins_anew(alice: User, alice_client: Client) -> None:
    earlier = make_failed(alice, "time_limit")
    lay_checkpoint(earlier, 6)
    response = alice_client.get(URL, {"from": str(earlier.id), "rank": "4"})
    assert "checkpoint at step" not in response.content.decode()
    alice_client.post(URL, {**response.context["form"].sent, "name": "Other"})
    assert checkpoints_in(storage.attempt_dir(Job.objects.get(name="Other").id, SEEDS)) == []


# Sent twice.


def test_a_form_that_is_sent_twice_makes_one_job(alice: User, alice_client: Client) -> None:
    version = make_version(alice)
    key = alice_client.get(URL, fields_for(version)).context["idempotency_key"]
    fields = fields_for(version, idempotency_key=key)
    assert len({alice_client.post(URL, fields)["Location"] for _ in range(2)}) == 1
    changed = alice_client.post(URL, {**fields, "name": "Another"})
    assert changed.status_code == 302 and Job.objects.count() == 2


def test_each_view_of_the_page_has_a_key_of_its_own(alice: User, alice_client: Client) -> None:
    make_version(alice)
    assert len({alice_client.get(URL).context["idempotency_key"] for _ in range(2)}) == 2


def test_a_script_names_its_own_key(alice: User, bob: User, alice_client: Client, bob_client: Client) -> None:
    fields = fields_for(make_version(alice))
    ids = {alice_client.post(URL, fields, HTTP_IDEMPOTENCY_KEY="nightly 7", **JSON).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    theirs = bob_client.post(URL, fields_for(make_version(bob)), HTTP_IDEMPOTENCY_KEY="nightly 7", **JSON)
    assert theirs.json()["id"] not in ids


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_a_scripts_key_with_another_request_is_refused(alice: User, alice_client: Client, accepts: str) -> None:
    fields = fields_for(make_version(alice))
    headers: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "nightly 7", "HTTP_ACCEPT": accepts}
    alice_client.post(URL, fields, **headers)
    changed = alice_client.post(URL, {**fields, "name": "Another"}, **headers)
    assert changed.status_code == 422 and "was sent before with another request" in changed.content.decode()
    assert accepts != "application/json" or changed.json()["code"] == "idempotency_mismatch"
    assert Job.objects.count() == len(list(storage.jobs_dir().iterdir())) == 1
    assert alice_client.post(URL, fields, **headers).status_code in (201, 302)
    assert Job.objects.count() == 1


def test_a_scripts_key_for_another_retry_is_refused(alice: User, alice_client: Client) -> None:
    first, second = make_failed(alice, "data"), make_failed(alice, "data")
    headers: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "nightly 7", **JSON}
    ids = {alice_client.post(f"/jobs/{first.id}/retry", **headers).json()["id"] for _ in range(2)}
    for job, sent in ((second, {}), (first, {"from_start": "1"})):
        answer = alice_client.post(f"/jobs/{job.id}/retry", sent, **headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert len(ids) == 1 and Job.objects.count() == 3


@pytest.mark.parametrize("key", ["", "x" * 101, "a\tb", "grün"])
def test_a_key_that_cannot_be_used_is_refused(alice: User, alice_client: Client, key: str) -> None:
    headers: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": key, **JSON}
    response = alice_client.post(URL, fields_for(make_version(alice)), **headers)
    assert (response.status_code, response.json()["code"]) == (400, "bad_key")
    assert not Job.objects.exists()


def test_a_job_that_ended_does_not_answer_for_a_new_view_of_the_page(alice: User, alice_client: Client) -> None:
    fields = fields_for(make_version(alice))
    for _ in range(2):
        key = alice_client.get(URL, fields).context["idempotency_key"]
        alice_client.post(URL, {**fields, "idempotency_key": key})
        job_cancel(Job.objects.latest("created_at"))
    assert Job.objects.count() == 2


# Several processes.


def gpus(number: int) -> list[dict[str, Any]]:
    return [
        Device(kind="gpu", name="A GPU", memory_bytes=10**10, uuid=f"GPU-{at}").model_dump() for at in range(number)
    ]


@pytest.mark.parametrize(
    ("workers", "wanted", "refusal"),
    [
        ([], "8", None),
        ([(1, 0)], "2", None),
        ([(1, 0)], "3", "No worker has a GPU, and on a processor no more than 2 can share it: choose 2 or less."),
        ([(1, 1), (1, 0)], "2", None),
        ([(1, 1)], "2", "The largest worker has 1 GPU: choose 1."),
        ([(4, 4), (1, 1)], "4", None),
        ([(2, 4)], "4", "The largest worker has 2 GPUs: choose 2 or less."),
    ],
)
def test_more_gpus_than_any_worker_has_are_refused_beside_the_field(
    alice: User, workers: list[tuple[int, int]], wanted: str, refusal: str | None
) -> None:
    for number, (slots, num_gpus) in enumerate(workers):
        make_worker(f"w{number}", slots=slots, **({"devices_json": gpus(num_gpus)} if num_gpus else {}))
    form = JobForm(alice, fields_for(make_version(alice), num_processes=wanted), is_draft=False)
    assert form.errors.get("num_processes") == (refusal and [refusal])
    assert form.wishes.num_processes == int(wanted)


def test_gpus_reach_the_job_and_every_job_made_of_it(alice: User, alice_client: Client) -> None:
    alice_client.post(URL, fields_for(make_version(alice), num_processes="2"))
    job = Job.objects.get()
    assert job.num_processes == 2
    assert "<dt>GPUs for this job</dt><dd>2</dd>" in alice_client.get(f"/jobs/{job.id}").content.decode()
    assert alice_client.get(URL, {"from": str(job.id)}).context["form"].wishes.num_processes == 2
    job_cancel(job)
    assert job_retry(job, alice, from_start=True).num_processes == 2
