"""F22: the power goes, and with it everything that was not brought to the disk. What was promised is still whole."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from tests.engine.commits import Bench
from tests.factories import make_starter, make_user, make_version
from tests.faults.commits import accept_job, keep_adapter, retry_job, save_dataset, take_upload
from tests.faults.conftest import SEED
from tests.faults.power_cut import Moment, Recorder
from tests.faults.test_commits import finished_job
from webapp import storage
from webapp.adapters.models import AdapterVersion
from webapp.adapters.wholeness import version_is_whole
from webapp.contract.checkpoint import newest_whole
from webapp.contract.events import CheckpointSaved
from webapp.datasets.models import DatasetVersion, Upload
from webapp.jobs.models import Job
from webapp.jobs.split_rows import rows_are_whole
from webapp.upkeep.scrub import rows_are_whole as version_rows_are_whole


def with_dataset() -> None:
    make_version(make_user())
    make_starter()


def with_upload() -> None:
    make_user()
    take_upload(Path())


def with_cancelled_job() -> None:
    finished_job()
    Job.objects.update(state="cancelled")


COMMITS: dict[str, tuple[Callable[[], Any], Callable[[Path], None], Callable[[], list[bool]]]] = {
    "adapter": (finished_job, keep_adapter, lambda: [version_is_whole(one) for one in AdapterVersion.objects.all()]),
    "upload": (make_user, take_upload, lambda: [_sha256(one.path) == one.sha256 for one in Upload.objects.all()]),
    "dataset": (
        with_upload,
        save_dataset,
        lambda: [version_rows_are_whole(one) for one in DatasetVersion.objects.all()],
    ),
    "job": (with_dataset, accept_job, lambda: [_rows_are_there(one) for one in Job.objects.all()]),
    "retried job": (with_cancelled_job, retry_job, lambda: [_rows_are_there(one) for one in Job.objects.all()]),
}
"""What was there before, what is then done, and whether each thing that the database speaks of is whole."""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _rows_are_there(job: Job) -> bool:
    path = storage.job_rows_path(job.id)
    return path.exists() and rows_are_whole(path, job.rows_sha256)


def damaged_states(name: str, tmp_path: Path, settings: LazySettings) -> tuple[int, int]:
    """How many states a disk may be found in while the database speaks of the thing, and how many are damaged."""
    fill, commit, look = COMMITS[name]
    settings.DATA_DIR = tmp_path / "home"
    settings.DATA_DIR.mkdir()
    fill()
    num_before = len(look())
    with Recorder(settings.DATA_DIR, note=lambda: len(look_at_rows(name))) as recorder:
        commit(settings.DATA_DIR)
    dice = random.Random(SEED)
    num_states = num_damaged = 0
    for moment in recorder.moments:
        if moment.note > num_before:
            for settings.DATA_DIR in moment.states(dice, tmp_path / "after"):
                num_states += 1
                num_damaged += not all(look())
    return num_states, num_damaged


def look_at_rows(name: str) -> list[Any]:
    """Only what the database says."""
    model = {"adapter": AdapterVersion, "upload": Upload, "dataset": DatasetVersion}.get(name, Job)
    return list(model._default_manager.all())


@pytest.mark.parametrize("name", COMMITS)
def test_what_the_database_speaks_of_survives_the_loss_of_all_that_was_not_brought_to_the_disk(
    name: str, sqlite_database: str, tmp_path: Path, settings: LazySettings
) -> None:
    num_states, num_damaged = damaged_states(name, tmp_path, settings)
    print(f"{name}: {num_states} states")  # noqa: T201
    assert num_states > 0 and num_damaged == 0, f"seed {SEED}: {num_damaged} of {num_states} states"


@pytest.mark.parametrize("name", COMMITS)
def test_without_bringing_it_to_the_disk_it_would_not(
    name: str, sqlite_database: str, tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test above can fail."""
    monkeypatch.setattr(storage, "_sync", lambda _path: None)
    num_states, num_damaged = damaged_states(name, tmp_path, settings)
    assert num_damaged > num_states / 2


def test_a_checkpoint_that_was_told_is_found_after_a_power_cut(tmp_path: Path) -> None:
    job_dir = tmp_path / "job"
    job_dir.mkdir()
    bench = Bench(job_dir, keep_checkpoints=1).steps(1)

    def newest_told() -> int:
        return max(event.step for event in bench.told if isinstance(event, CheckpointSaved))

    with Recorder(job_dir, note=newest_told) as recorder:
        bench.steps(2)
    dice = random.Random(SEED)
    found: list[int] = []
    for moment in recorder.moments:
        for number, after in enumerate(moment.states(dice, tmp_path / "after")):
            whole = newest_whole(after)
            assert whole is not None and whole.manifest.step >= moment.note, f"seed {SEED}"
            found.append(whole.manifest.step)
            assert number or Bench(after).standing.step == whole.manifest.step
    print(f"checkpoint: {len(found)} states")  # noqa: T201
    assert set(found) == {1, 2, 3}


def test_a_new_file_has_nothing_certain_of_a_deleted_one_in_its_place(tmp_path: Path) -> None:
    """What the recorder must not mix up, or the tests above would find damage where none can be."""
    root = tmp_path / "disk"
    root.mkdir()
    (root / "old").write_text("old")
    with Recorder(root) as recorder:
        (root / "old").unlink()
        (root / "new").write_text("new")
    last = recorder.moments[-1]
    assert {path.name: path.read_text() for path in _certain(last, tmp_path).iterdir()} == {"old": "old"}
    new = last.now.names[last.now.root]["new"]
    assert new not in last.sure.content


def _certain(moment: Moment, tmp_path: Path) -> Path:
    return next(moment.states(random.Random(SEED), tmp_path / "after"))
