"""The admin's pages of workers: who may see them, what they show, and what their buttons do."""

import re
import shlex
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_job
from tests.workers.made import CPU, give_job, gpu, make_worker, register
from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.contract.devices import DeviceLoad, Load
from webapp.jobs.models import JobAttempt
from webapp.workers.commands import start_commands
from webapp.workers.join_tokens import join_token_make, join_token_revoke, join_token_use
from webapp.workers.models import LATE_AFTER, LOST_AFTER, Intent, JoinToken, Worker
from webapp.workers.services import worker_add

pytestmark = pytest.mark.django_db
LIST = "/workers/"


def detail(worker: Worker) -> str:
    return reverse("worker-detail", args=[worker.id])


def steer(worker: Worker, verb: str) -> str:
    return reverse("worker-steer", args=[worker.id, verb])


def shown(response: Any) -> str:
    """Its text as one reads it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def load(percent: float, at: float = 0.0, **figures: Any) -> dict[str, Any]:
    one = DeviceLoad(percent=percent, memory_used_bytes=4_000_000_000, **figures)
    return Load(at=at, devices=(one,), disk_free_bytes=50_000_000_000).model_dump()


def test_every_page_and_verb_is_for_admins(alice_client: Client) -> None:
    worker = make_worker()
    for url in (LIST, "/workers/?retired", "/workers/add", detail(worker)):
        assert alice_client.get(url).status_code == 403, url
    for url in ("/workers/add", detail(worker), reverse("worker-token", args=[worker.id]), steer(worker, "retire")):
        assert alice_client.post(url, {"name": "mine", "slots": "1"}).status_code == 403, url
    assert Worker.objects.get().intent == Intent.ACTIVE and not JoinToken.objects.exists()


def test_only_admins_have_the_link(alice_client: Client, admin_client: Client) -> None:
    assert f'href="{LIST}"' in admin_client.get("/").content.decode()
    assert f'href="{LIST}"' not in alice_client.get("/").content.decode()


def test_without_workers_it_says_what_to_do(admin_client: Client) -> None:
    page = shown(admin_client.get(LIST))
    assert "No workers yet" in page and "manage.py worker" in page


def test_a_worker_is_shown_with_all_it_tells(admin_client: Client, alice: User) -> None:
    worker = register("box", devices=(gpu(),))
    figures = [load(20, 0), load(60, 10, temperature_celsius=61, power_watts=70.5)]
    Worker.objects.update(labels=["fast"], loads_json=figures)
    job = give_job(worker, alice, live={"done": 3, "total": 12, "sentence": "Training: step 3 of 12."})
    response = admin_client.get(LIST)
    page = shown(response)
    for text in ("box", "Online", "NVIDIA T4", "61 °C", "71 W", "60 %", "4.0 GB", "1 of 1 in use", "fast", "25 %",
                 "Training: step 3 of 12.", "50.0 GB", "ago"):  # fmt: skip
        assert text in page, text
    html = response.content.decode()
    assert reverse("job-detail", args=[job.id]) in html
    assert "Use over the last 0 minutes: 20 to 60 %" in html and "<polyline" in html


@pytest.mark.parametrize(
    ("silence", "word"),
    [
        (timedelta(0), "Online"),
        (LATE_AFTER + timedelta(seconds=5), "Late"),
        (LOST_AFTER + timedelta(minutes=5), "Lost"),
    ],
)
def test_health_is_told_in_a_word(admin_client: Client, silence: timedelta, word: str) -> None:
    make_worker(heartbeat_at=database_now() - silence)
    assert f"{word} " in shown(admin_client.get(LIST))


def test_of_a_lost_worker_no_old_figure_is_shown_as_if_it_were_now(admin_client: Client) -> None:
    make_worker(heartbeat_at=database_now() - timedelta(minutes=9), loads_json=[load(77)])
    page = shown(admin_client.get(LIST))
    assert "start it again" in page and "77 %" not in page


def test_another_version_is_marked(admin_client: Client) -> None:
    make_worker(version="0.0.1")
    assert "version 0.0.1 the app is" in shown(admin_client.get(LIST))


def test_its_record_counts_ends_and_names_the_last_failure(admin_client: Client, alice: User) -> None:
    worker = make_worker()
    job = give_job(worker, alice)
    now = database_now()
    for number, outcome in enumerate(("succeeded", "failed", "lost", "handed_back"), 2):
        JobAttempt.objects.create(
            job=job, number=number, worker=worker, started_at=now, ended_at=now, outcome=outcome, reason=f"why {number}"
        )
    assert "1 done, 2 failed" in shown(admin_client.get(LIST))
    page = shown(admin_client.get(detail(worker)))
    assert "worker lost" in shown(admin_client.get(LIST))
    assert all(f"why {number}" in page for number in range(2, 6))


@pytest.mark.parametrize(
    ("intent", "runs", "note"),
    [(Intent.ACTIVE, True, "says what it waits for"), (Intent.PAUSED, True, "no worker takes jobs"),
     (Intent.ACTIVE, False, "no worker is running")],
)  # fmt: skip
def test_waiting_jobs_are_told_with_the_reason(
    admin_client: Client, alice: User, intent: Intent, runs: bool, note: str
) -> None:
    make_worker(intent=intent, stopped_at=None if runs else database_now())
    make_job(alice)
    page = shown(admin_client.get(LIST))
    assert "1 job waits" in page and note in page


def test_full_slots_are_a_reason_to_wait(admin_client: Client, alice: User) -> None:
    worker = make_worker()
    give_job(worker, alice)
    make_job(alice)
    assert "1 job waits for a free slot" in shown(admin_client.get(LIST))


@pytest.mark.parametrize(("verb", "intent"), [("pause", "paused"), ("drain", "draining"), ("retire", "retired")])
def test_a_button_steers_and_comes_back(admin_client: Client, verb: str, intent: str) -> None:
    worker = make_worker()
    assert admin_client.post(steer(worker, verb)).headers["Location"] == LIST
    worker.refresh_from_db()
    assert worker.intent == intent
    assert admin_client.post(steer(worker, "resume"), {"detail": "1"}).headers["Location"] == detail(worker)


def test_looking_does_not_steer(admin_client: Client) -> None:
    worker = make_worker()
    assert admin_client.get(steer(worker, "retire")).status_code == 405
    assert admin_client.post(steer(worker, "explode")).status_code == 404
    assert admin_client.post(reverse("worker-steer", args=[uuid.uuid4(), "pause"])).status_code == 404
    assert admin_client.get(f"/workers/{uuid.uuid4()}").status_code == 404


def test_retired_workers_are_kept_apart(admin_client: Client) -> None:
    make_worker("old-box", intent=Intent.RETIRED)
    assert "1 retired" in shown(admin_client.get(LIST)) and "old-box" not in shown(admin_client.get(LIST))
    page = admin_client.get("/workers/?retired").content.decode()
    assert "old-box" in page and "/pause" not in page


def test_a_worker_is_added_and_its_token_shown_once(admin_client: Client) -> None:
    response = admin_client.post("/workers/add", {"name": "Box-1", "labels": "fast, EU", "slots": ""})
    token = re.findall(r"GRAFTWORK_JOIN_TOKEN=(\S+) python manage.py worker --join http://testserver", shown(response))
    worker = Worker.objects.get(name="box-1")
    assert join_token_use(token[0], "k" * 43, host="box") == worker and worker.labels == ["fast", "eu"]
    assert "no-store" in response["Cache-Control"]
    assert "not https" in shown(response)
    assert token[0] not in shown(admin_client.get(detail(worker)))


def test_the_command_survives_a_folder_with_a_blank_in_its_name(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "my data"
    words = shlex.split(start_commands("https://graftwork.example", "-token").shell)
    assert words[:2] == [f"GRAFTWORK_HOME={settings.DATA_DIR}", "GRAFTWORK_JOIN_TOKEN=-token"]
    assert words[-2:] == ["--join", "https://graftwork.example"]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [("name", "", "required"), ("name", "a b", "cannot be a worker"), ("name", "taken", "Choose another name"),
     ("labels", "a b", "cannot be a label"), ("labels", ",".join("abcdefghijk"), "11 labels"),
     ("slots", "0", "give 1 to 64"), ("slots", "65", "give 1 to 64"), ("slots", "many", "whole number")],
)  # fmt: skip
def test_bad_input_is_told_beside_its_field(admin_client: Client, field: str, value: str, sentence: str) -> None:
    worker_add(name="taken")
    response = admin_client.post("/workers/add", {"name": "box", "labels": "", "slots": "1", field: value})
    assert response.status_code == 400
    assert sentence in " ".join(response.context["form"].errors[field])
    assert f'id="id_{field}_error"' in response.content.decode()
    assert Worker.objects.count() == 1


def test_labels_and_slots_are_set(admin_client: Client) -> None:
    worker = register("box", devices=(CPU,), num_cores=4)
    assert admin_client.post(detail(worker), {"labels": "fast, eu", "slots": "4"}).status_code == 302
    worker.refresh_from_db()
    assert (worker.labels, worker.slots) == (["fast", "eu"], 4)
    response = admin_client.post(detail(worker), {"labels": "fast", "slots": "5"})
    assert response.status_code == 400 and "give 1 to 4, one for each core" in shown(response)


def test_a_new_token_is_made_and_shown(admin_client: Client) -> None:
    worker, old = worker_add(name="box")
    response = admin_client.post(reverse("worker-token", args=[worker.id]))
    assert old not in shown(response) and "GRAFTWORK_JOIN_TOKEN=" in shown(response)


def test_a_workers_page_lists_its_tokens_with_what_became_of_them(admin_client: Client) -> None:
    worker, token = worker_add(name="box")
    assert "Not used yet" in shown(admin_client.get(detail(worker)))
    join_token_use(token, "k" * 43, host="box.example (192.0.2.7)")
    page = shown(admin_client.get(detail(worker)))
    assert "Used" in page and "on box.example (192.0.2.7)" in page
    join_token_make(worker.id)
    JoinToken.objects.filter(used_at=None).update(expires_at=database_now())
    assert "Expired" in shown(admin_client.get(detail(worker)))
    join_token_revoke(JoinToken.objects.get(used_at=None))
    assert "Revoked" in shown(admin_client.get(detail(worker)))


def test_a_token_is_revoked_by_its_button(admin_client: Client, alice_client: Client) -> None:
    worker, _token = worker_add(name="box")
    other, _token = worker_add(name="other")
    row = worker.join_tokens.get()
    url = reverse("join-token-revoke", args=[worker.id, row.id])
    assert alice_client.post(url).status_code == 403
    assert admin_client.post(reverse("join-token-revoke", args=[other.id, row.id])).status_code == 404
    assert f'action="{url}"' in admin_client.get(detail(worker)).content.decode()
    for said in ("The token is revoked", "revoked already"):
        assert said in shown(admin_client.post(url, follow=True))
    assert f'action="{url}"' not in admin_client.get(detail(worker)).content.decode()


@pytest.mark.parametrize(("hours", "lifetime"), [("", 24), ("1", 1), ("168", 168)])
def test_an_admin_chooses_how_long_a_token_can_be_used(admin_client: Client, hours: str, lifetime: int) -> None:
    page = shown(admin_client.post("/workers/add", {"name": "box", "hours": hours}))
    token = JoinToken.objects.get()
    assert token.expires_at - token.created_at == timedelta(hours=lifetime)
    assert f"works once, for one machine, until {token.expires_at:%Y-%m-%d %H:%M} UTC" in page
    wrong = admin_client.post(reverse("worker-token", args=[token.worker_id]), {"hours": "9999"}, follow=True)
    assert "an hour, a day or a week" in shown(wrong) and JoinToken.objects.count() == 1


def test_a_running_job_can_be_moved_away(admin_client: Client, alice: User) -> None:
    worker = make_worker()
    job = give_job(worker, alice)
    page = admin_client.get(detail(worker)).content.decode()
    assert f'action="{reverse("job-move-away", args=[job.id])}"' in page


def test_names_and_labels_are_text_and_not_markup(admin_client: Client, alice: User) -> None:
    worker = make_worker(host="<b>host</b>", labels=["<i>"])
    give_job(worker, alice, name="<u>job</u>", live={"sentence": "<s>now</s>"})
    for url in (LIST, detail(worker)):
        page = admin_client.get(url).content.decode()
        assert not re.search(r"<(b|i|u|s)>", page), url
