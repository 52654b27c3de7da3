"""F23: one flipped bit in a checkpoint, an adapter, a dataset, a job's rows: told, and never used or handed out."""

import os
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.adapters.made import make_adapter
from tests.factories import make_version
from tests.faults.conftest import SEED
from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_state, until_step
from tests.faults.stack import running_faults
from tests.faults.stub_engine import TRACE
from tests.jobs.made import fields_for
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.clock import database_now
from webapp.contract.checkpoint import checkpoint_folders
from webapp.datasets.models import DatasetVersion
from webapp.datasets.reading.start import reading_here
from webapp.datasets.rows_file import RowsDamaged, rows_verify
from webapp.datasets.services import dataset_version_create, upload_create
from webapp.jobs.models import Job, JobEvent, State
from webapp.jobs.services import job_pause, job_resume
from webapp.upkeep.scrub import EVERY, scrub

DICE = random.Random(SEED)


def flip_a_bit(path: Path, *, silently: bool = False, at: int | None = None) -> int:
    """`silently`: the file's times stay as they are, as when the disk itself forgets. Returns which byte."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    place = DICE.randrange(len(content)) if at is None else at
    content[place] ^= 1 << DICE.randrange(8)
    path.write_bytes(content)
    if silently:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return place


def scrub_tomorrow() -> int:
    return scrub(database_now() + EVERY + timedelta(minutes=1))


def test_a_damaged_checkpoint_is_passed_over_and_told_and_damaged_rows_are_not_trained_on(
    home: Path, database_url: str, timing: dict[str, str]
) -> None:
    """With real parts: a pause, damage, a resume."""
    with running_faults(home, database_url, **timing) as stack:
        person = Person()
        checkpointed, rowless = person.asks("steps=40 seconds=0.1"), person.asks("steps=40 seconds=0.1")
        until_step(checkpointed, 7)
        job_pause(rowless)
        job_pause(now(checkpointed))
        until_state(checkpointed, State.PAUSED, seconds=15)
        newest, older = checkpoint_folders(checkpointed.attempt_dir)[:2]
        flip_a_bit(newest / TRACE)
        flip_a_bit(storage.job_rows_path(rowless.id))
        for job in (checkpointed, rowless):
            job_resume(now(job))
        until_all_over([checkpointed, rowless], 90)
        assert now(checkpointed).state == State.SUCCEEDED, f"seed {SEED}"
        assert refusals(checkpointed) == [(_step(newest), f"{TRACE} differs from its manifest.")]
        started = checkpointed.events.filter(kind="started").last()
        assert started and started.data["resumed_step"] == _step(older)
        assert (now(rowless).state, rowless.error["code"]) == (State.FAILED, "data")
        assert "damaged on the disk" in rowless.error["message"]
        assert not rowless.events.filter(kind="started").exists()
        check_invariants(stack)


def refusals(job: Job) -> list[tuple[int, str]]:
    told = JobEvent.objects.filter(job=job, kind="checkpoint_refused")
    return [(event.data["step"], event.data["reason"]) for event in told]


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


@pytest.fixture
def version(alice: User) -> AdapterVersion:
    return make_adapter(alice)


def download(client: Client, version: AdapterVersion, **headers: str) -> tuple[int, str]:
    response = client.get(reverse("adapter-download", args=[version.id]), **headers)
    return response.status_code, "" if response.streaming else response.content.decode()


@pytest.mark.parametrize("prefers", ["text/html", "application/json"])
def test_a_damaged_zip_is_not_handed_out(alice_client: Client, version: AdapterVersion, prefers: str) -> None:
    assert download(alice_client, version)[0] == 200
    flip_a_bit(version.zip_path)
    status, text = download(alice_client, version, HTTP_ACCEPT=prefers)
    assert status == 500 and "adapter_damaged" in text and "damaged on the disk" in text, f"seed {SEED}"
    assert_the_owner_sees_it(alice_client, version)


def test_no_part_of_a_damaged_zip_is_handed_out_either(alice_client: Client, version: AdapterVersion) -> None:
    flip_a_bit(version.zip_path, at=version.zip_bytes - 1)
    assert download(alice_client, version, HTTP_RANGE="bytes=0-9")[0] == 500


def test_a_zip_cut_short_is_not_handed_out(alice_client: Client, version: AdapterVersion) -> None:
    version.zip_path.write_bytes(version.zip_path.read_bytes()[:-1])
    assert download(alice_client, version)[0] == 500


def assert_the_owner_sees_it(client: Client, version: AdapterVersion) -> None:
    assert AdapterVersion.objects.get(id=version.id).is_damaged
    page = client.get(reverse("adapter-detail", args=[version.adapter_id])).content.decode()
    assert "This version is damaged on the disk" in page


@pytest.mark.parametrize("name", ["adapter.zip", "files/adapter_model.safetensors", "files/README.md"])
def test_the_scrub_finds_what_the_disk_forgot_silently(
    alice_client: Client, admin_client: Client, version: AdapterVersion, name: str
) -> None:
    """Even where a download that went well before has remembered the file as whole."""
    assert download(alice_client, version)[0] == 200
    flip_a_bit(storage.adapter_dir(version.id) / name, silently=True)
    assert scrub(database_now()) == 0, "nothing is a day old yet"
    assert scrub_tomorrow() == 2, "the adapter and the dataset it was trained on"
    assert_the_owner_sees_it(alice_client, version)
    assert download(alice_client, version)[0] == 500
    listed = admin_client.get("/admin/adapters/adapterversion/?is_damaged__exact=1").content.decode()
    assert version.zip_sha256 in listed
    assert scrub_tomorrow() == 0, "once a day is enough"


def test_the_scrub_finds_damaged_held_out_rows_and_the_adapter_stays_in_use(
    alice_client: Client, version: AdapterVersion
) -> None:
    """So that each line can still be read."""
    rows_url, path = reverse("job-rows", args=[version.job_id]), version.job.held_out_path
    before = path.read_text()
    path.write_text(before.replace('"input":"', '"input":"x', 1))
    assert before != path.read_text()
    assert "The rows cannot be read" not in alice_client.get(rows_url).content.decode()
    scrub_tomorrow()
    assert "The rows cannot be read" in alice_client.get(rows_url).content.decode()
    assert download(alice_client, version)[0] == 200
    path.write_text(before)
    assert scrub(database_now() + 3 * EVERY) == 2
    assert "The rows cannot be read" not in alice_client.get(rows_url).content.decode()


def test_what_was_brought_back_is_handed_out_again(alice_client: Client, version: AdapterVersion) -> None:
    content = version.zip_path.read_bytes()
    flip_a_bit(version.zip_path)
    scrub_tomorrow()
    version.zip_path.write_bytes(content)
    assert scrub(database_now() + 3 * EVERY) == 2
    assert download(alice_client, version)[0] == 200


def test_what_is_whole_is_left_in_peace(alice_client: Client, version: AdapterVersion) -> None:
    assert scrub_tomorrow() == 2
    assert not AdapterVersion.objects.filter(is_damaged=True).exists()
    assert not AdapterVersion.objects.filter(held_out_is_damaged=True).exists()
    assert not DatasetVersion.objects.filter(is_damaged=True).exists()
    assert download(alice_client, version)[0] == 200


@pytest.mark.parametrize("place", [0.0, 0.2, 0.4, 0.6, 0.8, 0.999])
def test_no_job_is_made_of_damaged_rows(alice: User, alice_client: Client, place: float) -> None:
    """A bit anywhere in the file: either nothing of the rows has changed, or no job is made of them."""
    version = make_version(alice)
    flip_a_bit(version.rows_path, at=int(version.rows_path.stat().st_size * place))
    is_harmless = _is_whole(version)
    response = alice_client.post("/jobs/new", fields_for(version), HTTP_ACCEPT="application/json")
    assert response.status_code == (201 if is_harmless else 422), f"seed {SEED}"
    assert alice_client.get(reverse("dataset-detail", args=[version.dataset_id])).status_code == 200
    if not is_harmless:
        assert "damaged on the disk" in response.json()["message"] and not Job.objects.exists()
        assert list(storage.jobs_dir().glob("*")) == []
        page = alice_client.get(reverse("dataset-detail", args=[version.dataset_id])).content.decode()
        assert "The rows of this version are damaged on the disk" in page


@pytest.mark.faults
def test_a_bit_in_any_byte_of_the_rows_is_harmless_or_told(alice: User) -> None:
    version = make_version(alice)
    content = version.rows_path.read_bytes()
    num_told = 0
    for place in range(len(content)):
        version.rows_path.write_bytes(content)
        flip_a_bit(version.rows_path, at=place)
        num_told += not _is_whole(version)
    print(f"{num_told} of {len(content)} told")  # noqa: T201
    assert num_told > len(content) / 3


def _is_whole(version: DatasetVersion) -> bool:
    try:
        rows_verify(version.rows_path, version.rows_sha256)
    except RowsDamaged:
        return False
    return True


def test_damaged_rows_saved_anew_are_another_version(alice: User) -> None:
    from django.core.files.base import ContentFile

    from tests.faults.commits import CSV

    mapping = {"input": "q", "output": "a"}
    version = make_version(alice)
    upload = upload_create(alice, ContentFile(CSV.encode()), "rows.csv")

    def save() -> DatasetVersion:
        reading_here(upload, mapping)
        return dataset_version_create(version.dataset, upload, mapping=mapping)

    first = save()
    assert save() == first
    first.rows_path.write_bytes(b"PAR1")
    scrub_tomorrow()
    again = save()
    assert again != first and _is_whole(again)
