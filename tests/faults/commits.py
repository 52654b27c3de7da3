"""The commits to disk and database that crash points are enumerated of, each called with the data folder. The database
is GRAFTWORK_DATABASE_URL's; the moments before and after its commits are points too."""

import io
import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.files.base import File  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from tests.factories import make_recipe  # noqa: E402
from tests.faults.crash_points import POINT  # noqa: E402
from webapp.accounts.models import User  # noqa: E402
from webapp.adapters.services import adapter_store  # noqa: E402
from webapp.base_models.models import BaseModel  # noqa: E402
from webapp.datasets.models import DatasetVersion, Upload  # noqa: E402
from webapp.datasets.reading.start import reading_here  # noqa: E402
from webapp.datasets.services import dataset_create, upload_create  # noqa: E402
from webapp.jobs.accept import job_create, job_retry  # noqa: E402
from webapp.jobs.models import Job, State  # noqa: E402

CSV = "q,a\n" + "".join(f"question {number},answer {number}\n" for number in range(60))

_commit = BaseDatabaseWrapper._commit


def _commit_seen(self: BaseDatabaseWrapper) -> None:
    sys.audit(POINT, str(settings.DATA_DIR))
    _commit(self)
    sys.audit(POINT, str(settings.DATA_DIR))


BaseDatabaseWrapper._commit = _commit_seen


def keep_adapter(_root: Path) -> None:
    job = Job.objects.get(state=State.FINALIZING)
    adapter_store(job, job.attempt_dir)


def take_upload(_root: Path) -> None:
    upload_create(User.objects.get(), File(io.BytesIO(CSV.encode())), "rows.csv")


def save_dataset(_root: Path) -> None:
    upload, mapping = Upload.objects.get(), {"input": "q", "output": "a"}
    reading_here(upload, mapping)
    dataset_create(User.objects.get(), upload, name="Rows", mapping=mapping)


def accept_job(_root: Path) -> None:
    job_create(
        User.objects.get(), name="Mine", dataset_version=DatasetVersion.objects.get(),
        base_model=BaseModel.objects.get(), recipe=make_recipe(),
    )  # fmt: skip


def retry_job(_root: Path) -> None:
    job_retry(Job.objects.get(state=State.CANCELLED), User.objects.get())
