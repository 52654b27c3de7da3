"""F9: taking in a file, saving a dataset and accepting a job die at every single point; nothing torn can be chosen."""

import hashlib
from pathlib import Path

import pytest

from tests.factories import make_job, make_starter, make_user, make_version, make_worker
from tests.faults.commits import CSV, save_dataset, take_upload
from tests.faults.scene import Scene, a_day_passes
from webapp import storage
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.rows_file import rows_verify
from webapp.jobs.attempts import job_claim
from webapp.jobs.models import Job
from webapp.jobs.services import job_cancel
from webapp.jobs.split_rows import rows_are_whole
from worker.job_dir import job_dir_lay_out


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_wherever_an_upload_dies_it_is_there_as_a_whole_or_not_at_all(sqlite_database: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, lambda: make_user() and None)

    def check(point: int) -> None:
        uploads = list(Upload.objects.all())
        assert len(uploads) == 1 or point
        for upload in uploads:
            assert hashlib.sha256(upload.path.read_bytes()).hexdigest() == upload.sha256 == _sha256_of_csv(), point
        a_day_passes(storage.uploads_dir())
        assert names_in(storage.uploads_dir()) == {str(upload.id) for upload in uploads}, point
        take_upload(scene.root)

    assert scene.die_everywhere("take_upload", check) >= 5


def test_wherever_saving_a_dataset_dies_no_torn_one_can_be_chosen(sqlite_database: str, tmp_path: Path) -> None:
    def fill() -> None:
        make_user()
        take_upload(tmp_path)

    scene = Scene(tmp_path, fill)

    def check(point: int) -> None:
        versions = list(DatasetVersion.objects.all())
        assert len(versions) == 1 or point
        assert Dataset.objects.count() == len(versions), point
        for version in versions:
            assert version.num_rows == 60
            rows_verify(version.rows_path, version.rows_sha256)
        a_day_passes(storage.datasets_dir())
        assert names_in(storage.datasets_dir()) == {str(version.id) for version in versions}, point
        save_dataset(scene.root)

    assert scene.die_everywhere("save_dataset", check) >= 8


@pytest.mark.parametrize("function", ["accept_job", "retry_job"])
def test_wherever_accepting_a_job_dies_none_lacks_its_rows(sqlite_database: str, tmp_path: Path, function: str) -> None:
    def fill() -> None:
        if function == "retry_job":
            job_cancel(make_job(make_user()))
        else:
            make_version(make_user())
            make_starter()

    scene = Scene(tmp_path, fill)

    def check(point: int) -> None:
        jobs = list(Job.objects.waiting())
        assert len(jobs) == 1 or point
        for job in jobs:
            assert job.events.count() == 1 and job.rows_sha256
            assert rows_are_whole(storage.job_rows_path(job.id), job.rows_sha256), point
            taken = job_claim(make_worker())
            assert taken and (job_dir_lay_out(taken, print) / "rows.parquet").exists()
        a_day_passes(storage.jobs_dir())
        assert names_in(storage.jobs_dir()) == {str(job.id) for job in Job.objects.all()}, point

    assert scene.die_everywhere(function, check) >= 5


def _sha256_of_csv() -> str:
    return hashlib.sha256(CSV.encode()).hexdigest()
