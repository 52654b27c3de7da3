"""How many bytes lie in the data folder for one person, and how many files they send a minute."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F
from django.test import Client

from tests.adapters.made import make_adapter
from tests.datasets.files import good_csv
from tests.factories import make_job, make_user, make_version
from tests.jobs.made import fields_for, lay_checkpoint, make_running
from tests.state_machine.at_once import at_once
from webapp import storage
from webapp.accounts.models import Allowance, User
from webapp.datasets.models import Dataset, Upload
from webapp.datasets.services import dataset_delete, upload_create
from webapp.jobs.endings import Ending, job_fail
from webapp.jobs.models import Job
from webapp.jobs.services import job_delete
from webapp.limits.limits import LimitReached
from webapp.limits.models import PersonLimits
from webapp.limits.stored import stored_bytes
from webapp.upkeep.tidy import job_bytes_measure

FILE = b"q,a\n" + b"some question,some answer\n" * 4_000
"""About 100 kB."""


def send(client: Client, *, html: bool = False) -> Any:
    headers = {} if html else {"Accept": "application/json"}
    return client.post("/datasets/upload", {"file": SimpleUploadedFile("rows.csv", FILE)}, headers=headers)


def tries(owner: User, content: bytes) -> Upload | None:
    try:
        return upload_create(owner, ContentFile(content), "rows.csv")
    except LimitReached:
        return None


def test_all_that_is_stored_counts_and_what_is_deleted_no_longer(alice: User, bob: User, data_dir: Path) -> None:
    assert stored_bytes(alice.id) == 0
    upload_create(alice, ContentFile(FILE), "rows.csv")
    assert stored_bytes(alice.id) == len(FILE)
    version = make_version(alice)
    with_dataset = stored_bytes(alice.id)
    assert with_dataset - len(FILE) - 1 == version.rows_path.stat().st_size
    job = make_job(alice)
    rows = job.dataset_version.rows_path.stat().st_size + 1
    assert stored_bytes(alice.id) == with_dataset + rows + storage.job_rows_path(job.id).stat().st_size
    Job.objects.all().delete()
    for dataset in Dataset.objects.all():
        dataset_delete(dataset)
    assert stored_bytes(alice.id) == len(FILE) and stored_bytes(bob.id) == 0


def test_adapters_count(alice: User) -> None:
    version = make_adapter(alice)
    assert stored_bytes(alice.id) > storage.folder_bytes(storage.adapter_dir(version.id)) > version.zip_bytes > 0


def test_checkpoints_count_while_the_job_runs_and_once_it_ended(alice: User) -> None:
    job = make_running(alice)
    before = stored_bytes(alice.id)
    lay_checkpoint(job, 40)
    job_bytes_measure()
    with_checkpoint = stored_bytes(alice.id)
    assert with_checkpoint > before
    lay_checkpoint(job, 80)
    job_fail(job, Ending("data", "Line 3."))
    assert stored_bytes(alice.id) > with_checkpoint
    job_delete(Job.objects.get())
    assert stored_bytes(alice.id) < before


@pytest.mark.parametrize("html", [True, False])
def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing(
    alice: User, alice_client: Client, html: bool, data_dir: Path
) -> None:
    PersonLimits.objects.create(user=alice, stored_mb=1)
    Upload.objects.create(owner=alice, file_name="old", size_bytes=950_000, sha256="", columns=[], num_rows=0)
    answer = send(alice_client, html=html)
    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
    assert "alice uses 0.9 MB of 1.0 MB" in answer.content.decode()
    assert Upload.objects.count() == 1 and list(storage.uploads_dir().iterdir()) == []


def test_a_full_store_refuses_datasets_and_jobs_too(alice: User, alice_client: Client) -> None:
    rows = {"file": SimpleUploadedFile("rows.csv", good_csv().encode())}
    url = alice_client.post("/datasets/upload", rows, headers={"Accept": "application/json"}).json()["url"]
    fields = fields_for(make_version(alice))
    PersonLimits.objects.create(user=alice, stored_mb=1)
    Upload.objects.create(owner=alice, file_name="old", size_bytes=1_000_000, sha256="", columns=[], num_rows=0)
    num_datasets = Dataset.objects.count()
    for address, sent in ((url, {"name": "Mine", "input": "question", "output": "answer"}), ("/jobs/new", fields)):
        for accepts in ("application/json", "text/html"):
            answer = alice_client.post(address, sent, headers={"Accept": accepts})
            assert answer.status_code == 429 and answer["Retry-After"], address
            assert "Delete datasets, jobs or adapters" in answer.content.decode()
    assert Dataset.objects.count() == num_datasets and not Job.objects.exists()


def test_fifty_uploads_at_once_do_not_exceed_what_one_person_may_store(either_database: str) -> None:
    alice = make_user()
    PersonLimits.objects.create(user=alice, stored_mb=1)
    kept = at_once(*[partial(tries, alice, FILE)] * 50)
    assert sum(upload is not None for upload in kept) == Upload.objects.count() == 1_000_000 // len(FILE)
    assert len(list(storage.uploads_dir().iterdir())) == Upload.objects.count()


@pytest.mark.parametrize("html", [True, False])
def test_uploads_a_minute_are_counted(alice: User, alice_client: Client, bob_client: Client, html: bool) -> None:
    PersonLimits.objects.create(user=alice, uploads_per_minute=2)
    statuses = [send(alice_client, html=html).status_code for _ in range(3)]
    assert statuses == [302 if html else 201] * 2 + [429]
    refused = send(alice_client, html=html)
    assert 0 < int(refused["Retry-After"]) <= 30
    assert "2 files within a minute" in refused.content.decode()
    assert send(bob_client).status_code == 201
    Allowance.objects.update(used_until=F("used_until") - timedelta(seconds=30))
    assert send(alice_client, html=html).status_code == (302 if html else 201)


def test_a_file_that_is_refused_counts_as_an_upload(alice: User, alice_client: Client) -> None:
    PersonLimits.objects.create(user=alice, uploads_per_minute=1)
    bad = {"file": SimpleUploadedFile("rows.csv", b"")}
    answers = [alice_client.post("/datasets/upload", bad, headers={"Accept": "application/json"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 429]


def test_the_defaults_let_a_person_work(alice_client: Client) -> None:
    assert {send(alice_client).status_code for _ in range(20)} == {201}
