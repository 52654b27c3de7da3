"""F17: the disk is full while files come in, checkpoints, adapters and logs are written and the database commits."""

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.faults.commits import CSV
from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_state, until_step
from tests.faults.scene import Scene, a_day_passes
from tests.faults.stack import FaultStack, running_faults, until
from tests.faults.test_commits import finished_job, kept_folders
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.adapters.services import adapter_store
from webapp.adapters.wholeness import version_is_whole
from webapp.datasets.models import Upload
from webapp.jobs.models import Job, JobAttempt, State
from webapp.jobs.placing import MIN_DISK_FREE_BYTES

LONG_SECONDS = 75.0
DISK_BYTES = MIN_DISK_FREE_BYTES + 100_000_000


class SmallDisk:
    """The data folder as a disk of its own, in memory, with a ballast file that fills it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ballast = folder, folder / "ballast"

    def fill(self, but: int = 0) -> None:
        """So that `but` bytes are left."""
        with self.ballast.open("ab", buffering=0) as file:
            # Most of it at once; the rest piece by piece, since others write meanwhile.
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self.folder).free - but - 20_000_000)
            for block in (1_000_000, 4_096):
                with suppress(OSError):
                    while shutil.disk_usage(self.folder).free > but:
                        file.write(bytes(block))

    def make_room(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def disk(home: Path) -> Iterator[SmallDisk]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "graftwork-test", str(home)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("Only root may mount the small disk that this test fills.")
    yield SmallDisk(home)
    subprocess.run(["umount", "--lazy", str(home)], check=True)


class Visitor:
    """Alice at her browser."""

    def __init__(self, stack: FaultStack) -> None:
        client = Client()
        client.force_login(User.objects.get(username="alice"))
        self.http = httpx.Client(
            base_url=stack.url,
            timeout=20,
            cookies={"sessionid": client.cookies["sessionid"].value, "csrftoken": "a" * 32},
            headers={"X-CSRFToken": "a" * 32},
        )

    def page_of(self, job: Job) -> httpx.Response:
        return self.http.get(f"/jobs/{job.id}")

    def uploads(self) -> httpx.Response:
        # Larger than what Django keeps in memory and than what the last blocks of a disk may hide.
        return self.http.post("/datasets/upload", files={"file": ("rows.csv", CSV.encode() * 3_000)})


@pytest.mark.faults
def test_a_full_disk_stops_nothing_for_good(disk: SmallDisk, home: Path, timing: dict[str, str]) -> None:
    """Also the database is on it. In earnest it stays full for longer than a lease."""
    url = f"sqlite:///{home}/graftwork.sqlite3"
    with running_faults(home, url, web=True, GRAFTWORK_SECRET_KEY=settings.SECRET_KEY, **timing) as stack:
        person = Person()
        running, waiting = person.asks("steps=90 seconds=0.1"), person.asks("steps=6")
        visitor = Visitor(stack)
        until_step(running, 6)
        disk.fill()
        until(lambda: not stack.children(running.id), 30, "the child wrote on a full disk")
        assert_it_is_told(visitor, running)
        if timing:
            time.sleep(LONG_SECONDS)
            assert_it_is_told(visitor, running)
        assert stack.parts["w1"].is_alive and stack.parts["web"].is_alive
        assert not Upload.objects.filter(num_rows__gt=100).exists()
        disk.make_room()
        until_all_over([running, waiting], 150)
        assert (now(running).state, now(waiting).state) == (State.SUCCEEDED, State.SUCCEEDED)
        first = JobAttempt.objects.get(job=running, number=1)
        assert first.outcome == "crashed" and "disk is full" in first.reason
        wait_for_space(disk, person, visitor)
        check_invariants(stack)


def assert_it_is_told(visitor: Visitor, job: Job) -> None:
    """Pages are shown, what would be saved is refused with a sentence."""
    assert visitor.page_of(job).status_code == 200
    refused = visitor.uploads()
    assert refused.status_code == 507, refused.text[:500]
    assert "The disk is full" in refused.text


def wait_for_space(disk: SmallDisk, person: Person, visitor: Visitor) -> None:
    """With little room left no job is begun; its page says what it waits for."""
    disk.fill(but=MIN_DISK_FREE_BYTES // 2)
    until(_sees_little, 40, "the worker does not see that the disk is nearly full")
    job = person.asks("steps=6")
    until(lambda: "with free disk space" in visitor.page_of(job).text, 10, "the page does not say what is waited for")
    assert (now(job).state, job.attempt) == (State.QUEUED, 0)
    disk.make_room()
    until_all_over([job], 60)
    assert now(job).state == State.SUCCEEDED
    assert visitor.uploads().status_code in (200, 302)


def _sees_little() -> bool:
    from webapp.workers.models import Worker

    loads = Worker.objects.get(name="w1").loads_json
    return bool(loads) and loads[-1]["disk_free_bytes"] < MIN_DISK_FREE_BYTES


@pytest.mark.faults
def test_an_adapter_that_finds_no_room_is_kept_later(disk: SmallDisk, home: Path, database_url: str) -> None:
    with running_faults(home, database_url) as stack:
        job = Person().asks("steps=6 seconds=0.7 big=60")
        until_step(job, 1)
        # Enough for what the engine makes, too little for the copy and the zip.
        disk.fill(but=100_000_000)
        until(lambda: now(job).state == State.QUEUED and job.attempt == 1, 30, "it was not given back")
        assert "disk is full" in JobAttempt.objects.get(job=job, number=1).reason
        assert kept_folders() == set()
        disk.make_room()
        until_state(job, State.SUCCEEDED, seconds=60)
        assert not job.events.filter(kind="stepped", attempt=2).exists(), "what was trained was trained again"
        check_invariants(stack)


@contextmanager
def files_no_longer_than(num_bytes: int) -> Iterator[None]:
    """The system cuts every write at this length: a disk that fills up in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("limit", [0, 1, 400, 900, 1_300])
def test_an_adapter_cut_at_any_length_leaves_nothing(sqlite_database: str, tmp_path: Path, limit: int) -> None:
    scene = Scene(tmp_path, finished_job)
    with scene.opened():
        job = Job.objects.get()
        with files_no_longer_than(limit), pytest.raises(OSError) as caught:
            adapter_store(job, job.attempt_dir)
        assert storage.is_full(caught.value)
        assert kept_folders() == set() and not AdapterVersion.objects.exists()
        version = adapter_store(job, job.attempt_dir)
        assert version and version_is_whole(version)
        assert a_day_passes(storage.adapters_dir()) == []


@pytest.mark.parametrize("prefers", ["text/html", "application/json"])
def test_an_upload_that_finds_no_room_is_told_so(alice_client: Client, prefers: str) -> None:
    alice_client.raise_request_exception = False
    file = SimpleUploadedFile("rows.csv", CSV.encode())
    with files_no_longer_than(500):
        response = alice_client.post("/datasets/upload", {"file": file}, HTTP_ACCEPT=prefers)
    assert response.status_code == 507
    assert "disk" in response.content.decode() and "storage_full" in response.content.decode()
    assert list(storage.uploads_dir().glob("*")) == [] and not Upload.objects.exists()


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(27, "File too large"), True),
        (OSError(2, "No such file or directory"), False),
        (RuntimeError("database or disk is full"), True),
        (RuntimeError('could not extend file "base/1/2": No space left on device'), True),
        (RuntimeError("database is locked"), False),
        (None, False),
    ],
)
def test_which_errors_mean_a_full_disk(error: BaseException | None, is_full: bool) -> None:
    assert storage.is_full(error) == is_full
