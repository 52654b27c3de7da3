"""The verbs of a job's page: who may, when, and what is said when it is too late."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_job, make_worker
from tests.jobs.made import claim, lay_checkpoint, make_failed, make_running, make_succeeded
from webapp import storage
from webapp.accounts.models import User
from webapp.contract.checkpoint import checkpoints_in
from webapp.jobs.attempts import job_finalize, job_record
from webapp.jobs.checkpoints import SEEDS, checkpoint_to_resume
from webapp.jobs.endings import job_hand_back
from webapp.jobs.models import Job, JobAttempt, Outcome, Priority, State
from webapp.jobs.queue import queue_now
from webapp.jobs.services import job_cancel, job_pause, job_resume

JSON = {"HTTP_ACCEPT": "application/json"}
VERBS = [
    "job-cancel", "job-pause", "job-resume", "job-keep", "job-retry", "job-move-away", "job-priority", "job-move",
    "job-delete",
]  # fmt: skip


def post(client: Client, verb: str, job: Job, **fields: Any) -> Any:
    return client.post(reverse(verb, args=[job.id]), fields, **JSON)


def page(client: Client, job: Job) -> str:
    return str(client.get(f"/jobs/{job.id}").content.decode())


def labels(client: Client, job: Job) -> list[str]:
    return [verb.label for verb in client.get(f"/jobs/{job.id}").context["verbs"]]


@pytest.mark.parametrize("verb", VERBS)
def test_a_stranger_can_do_nothing(bob: User, alice_client: Client, verb: str) -> None:
    job = make_job(bob)
    assert post(alice_client, verb, job, where="up", priority="low").status_code == 404
    assert Job.objects.get().state == State.QUEUED


@pytest.mark.parametrize("verb", VERBS)
def test_looking_does_nothing(alice: User, alice_client: Client, verb: str) -> None:
    assert alice_client.get(reverse(verb, args=[make_job(alice).id])).status_code == 405


def test_a_waiting_job_is_paused_and_resumed(alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    assert labels(alice_client, job) == ["Pause", "Cancel"]
    told = post(alice_client, "job-pause", job)
    assert (told.status_code, told.json()["message"]) == (202, "The job is paused.")
    assert labels(alice_client, job) == ["Resume", "Cancel"]
    html = page(alice_client, job)
    assert "Paused. It keeps its place" in html and 'data-state="paused"' in html
    assert post(alice_client, "job-resume", job).status_code == 202
    assert Job.objects.get().state == State.QUEUED


def test_a_running_job_is_asked_and_its_page_says_what(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    assert labels(alice_client, job) == ["Pause", "Stop and keep", "Cancel"]
    assert post(alice_client, "job-keep", job).status_code == 202
    assert labels(alice_client, job) == ["Pause", "Stopping and keeping", "Cancel"]
    html = page(alice_client, job)
    assert "Ending training early, as you asked" in html and 'data-state="running keep"' in html
    post(alice_client, "job-pause", job)
    assert "Pausing, as you asked" in page(alice_client, job)
    assert job_record(job, []).asked == "pause"


def test_after_a_cancel_nothing_else_can_be_asked(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    post(alice_client, "job-cancel", job)
    assert labels(alice_client, job) == ["Cancelling"]
    told = post(alice_client, "job-keep", job)
    assert (told.status_code, told.json()["message"]) == (
        409, "Too late to stop and keep: the job is being cancelled."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "says"),
    [("job-cancel", "Too late to cancel: the job has succeeded."), ("job-pause", "Too late to pause"),
     ("job-keep", "Too late to stop and keep"), ("job-resume", "Too late to resume"), ("job-retry", "has succeeded"),
     ("job-priority", "Too late to change its priority"), ("job-move", "Too late to move it in the queue")],
)  # fmt: skip
def test_too_late_is_told_with_what_happened_instead(alice: User, alice_client: Client, verb: str, says: str) -> None:
    job = make_succeeded(alice)
    told = post(alice_client, verb, job, where="up", priority="low")
    assert (told.status_code, told.json()["code"]) == (409, "refused")
    assert says in told.json()["message"]
    html = alice_client.post(reverse(verb, args=[job.id]), {"where": "up", "priority": "low"}, follow=True)
    assert says in html.content.decode()


def test_what_does_not_go_yet_is_not_called_late(alice: User, alice_client: Client) -> None:
    told = post(alice_client, "job-keep", make_job(alice))
    assert told.json()["message"] == "It is not the time to stop and keep: the job waits in the queue."


def test_a_job_that_is_being_saved_has_no_verbs(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    job_finalize(job)
    assert labels(alice_client, job) == []
    assert "its adapter is being saved" in post(alice_client, "job-pause", job).json()["message"]


def test_only_an_admin_moves_a_job_away(alice: User, alice_client: Client, admin_client: Client) -> None:
    job = make_running(alice)
    assert post(alice_client, "job-move-away", job).status_code == 403
    assert alice_client.post(reverse("job-move-away", args=[job.id])).status_code == 403
    assert "no other worker" in post(admin_client, "job-move-away", job).json()["message"]
    make_worker("two")
    assert post(admin_client, "job-move-away", job).status_code == 202
    assert "Moving" in labels(admin_client, job)


def test_priority_is_set_by_anybody_but_high_only_by_an_admin(
    alice: User, alice_client: Client, admin_client: Client
) -> None:
    job = make_job(alice)
    assert post(alice_client, "job-priority", job, priority="low").status_code == 200
    assert Job.objects.get().priority == Priority.LOW
    assert post(alice_client, "job-priority", job, priority="high").status_code == 403
    assert post(alice_client, "job-priority", job, priority="first").status_code == 400
    assert Job.objects.get().priority == Priority.LOW
    assert post(admin_client, "job-priority", job, priority="high").status_code == 200
    assert Job.objects.get().priority == Priority.HIGH


def test_own_jobs_are_moved_from_page_and_list(alice: User, alice_client: Client) -> None:
    jobs = [make_job(alice) for _ in range(3)]
    assert post(alice_client, "job-move", jobs[2], where="front").status_code == 200
    assert [waiting.id for waiting in queue_now()] == [jobs[2].id, jobs[0].id, jobs[1].id]
    response = alice_client.post(reverse("job-move", args=[jobs[2].id]), {"where": "down", "list": "queued"})
    assert response["Location"] == "/jobs/?state=queued"
    assert [waiting.id for waiting in queue_now()] == [jobs[0].id, jobs[2].id, jobs[1].id]
    assert post(alice_client, "job-move", jobs[2], where="sideways").status_code == 400


# Going on from checkpoints.


def test_retry_goes_on_from_the_newest_checkpoint_and_says_so(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    lay_checkpoint(job, 3)
    lay_checkpoint(job, 6)
    assert labels(alice_client, job)[:2] == ["Retry from step 6", "Retry from the beginning"]
    told = post(alice_client, "job-retry", job)
    assert told.status_code == 201
    again = Job.objects.get(id=told.json()["id"])
    assert (again.parent, again.owner, again.split_sha256) == (job, alice, job.split_sha256)
    assert [one.manifest.step for one in checkpoints_in(storage.attempt_dir(again.id, SEEDS))] == [6]
    assert "an earlier job" in page(alice_client, again)


def test_retry_from_the_beginning_takes_no_checkpoint(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    lay_checkpoint(job, 3)
    again = Job.objects.get(id=post(alice_client, "job-retry", job, from_start="yes").json()["id"])
    assert checkpoint_to_resume(again) is None


def test_without_a_checkpoint_there_is_one_retry(alice: User, alice_client: Client) -> None:
    job = make_job(alice)
    job_cancel(job)
    assert labels(alice_client, job) == ["Retry", "Train again with changes", "Delete"]


def test_a_double_click_makes_one_job(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    verb = next(verb for verb in alice_client.get(f"/jobs/{job.id}").context["verbs"] if verb.name == "retry")
    ids = {post(alice_client, "job-retry", job, **dict(verb.fields)).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    assert post(alice_client, "job-retry", job).json()["id"] not in ids


def test_an_admin_retries_for_the_owner(alice: User, admin_client: Client) -> None:
    again = post(admin_client, "job-retry", make_failed(alice, "stalled")).json()["id"]
    assert Job.objects.get(id=again).owner == alice


def test_a_job_whose_rows_are_gone_says_so(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    storage.job_rows_path(job.id).unlink()
    told = post(alice_client, "job-retry", job)
    assert told.status_code == 409 and "rows of this job are gone" in told.json()["message"]
    assert Job.objects.count() == 1


def test_checkpoints_are_listed_with_what_they_hold(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    assert "None yet." in page(alice_client, job)
    lay_checkpoint(job, 3)
    lay_checkpoint(job, 6, best_step=3)
    html = page(alice_client, job)
    assert "6 of 9" in html and "0.1667" in html and "Resume from here" not in html
    assert [line.is_best for line in alice_client.get(f"/jobs/{job.id}").context["checkpoints"]] == [False, True]


def test_a_paused_job_is_resumed_from_the_chosen_checkpoint(alice: User, alice_client: Client) -> None:
    make_running(alice)
    job_pause(Job.objects.get())
    job = Job.objects.get()
    word = lay_checkpoint(job, 3)
    lay_checkpoint(job, 6)
    job_hand_back(job, reason="")
    assert "Resume from here" in page(alice_client, job)
    assert post(alice_client, "job-resume", job, checkpoint="1/step-00000007").status_code == 409
    assert post(alice_client, "job-resume", job, checkpoint=word).status_code == 202
    chosen = checkpoint_to_resume(Job.objects.get())
    assert chosen is not None and chosen.manifest.step == 3


def test_what_attempts_before_the_choice_made_is_not_taken_for_newer(alice: User) -> None:
    make_running(alice)
    job = Job.objects.get()
    word = lay_checkpoint(job, 3)
    job_hand_back(job, reason="")
    job = claim()
    lay_checkpoint(job, 6)
    job_pause(job)
    job_hand_back(job, reason="")
    job_resume(job, checkpoint=word)
    chosen = checkpoint_to_resume(job)
    assert chosen is not None and chosen.manifest.step == 3
    job = claim()
    lay_checkpoint(job, 4)
    newer = checkpoint_to_resume(job)
    assert newer is not None and newer.manifest.step == 4


def test_a_new_job_begins_at_the_chosen_checkpoint_of_an_ended_one(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    word = lay_checkpoint(job, 3)
    lay_checkpoint(job, 6)
    assert "New job from here" in page(alice_client, job)
    again = Job.objects.get(id=post(alice_client, "job-retry", job, checkpoint=word).json()["id"])
    assert [one.manifest.step for one in checkpoints_in(storage.attempt_dir(again.id, SEEDS))] == [3]


def test_a_damaged_checkpoint_that_was_chosen_is_not_replaced_in_silence(alice: User, alice_client: Client) -> None:
    job = make_failed(alice, "stalled")
    word = lay_checkpoint(job, 3)
    (job.attempt_dir / "checkpoints" / "step-00000003" / "state.json").write_bytes(b"[]")
    told = post(alice_client, "job-retry", job, checkpoint=word)
    assert told.status_code == 409 and "gone or damaged" in told.json()["message"]


def test_attempts_are_told_once_there_is_something_to_tell(alice: User, alice_client: Client) -> None:
    job = make_running(alice)
    assert alice_client.get(f"/jobs/{job.id}").context["attempts"] == []
    job_hand_back(job, reason="The worker was drained.")
    claim("two")
    JobAttempt.objects.filter(number=1).update(exit_code=-9, outcome=Outcome.CRASHED)
    html = page(alice_client, job)
    for words in ("1. Crashed", "The worker was drained.", "SIGKILL", "2. Running"):
        assert words in html


def test_the_admin_site_acts_through_the_services(alice: User, admin_client: Client) -> None:
    jobs = [make_succeeded(alice), make_job(alice)]
    for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        chosen = {"action": action, "_selected_action": [str(job.id) for job in jobs]}
        response = admin_client.post("/admin/jobs/job/", chosen, follow=True)
        assert "1 stayed as they were" in response.content.decode()
        assert Job.objects.get(id=jobs[1].id).state == state
    assert admin_client.get("/admin/jobs/jobattempt/").status_code == 200
