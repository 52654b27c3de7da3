"""The database's clock, which no worker's own clock can disturb."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from tests.factories import make_job, make_user, make_worker
from webapp.clock import database_now
from webapp.jobs.models import Job, JobAttempt

PROJECT = Path(__file__).resolve().parent.parent
CLAIM_AND_RENEW = """
import datetime, django, time
django.setup()
from webapp.jobs.attempts import job_claim, job_renew
from webapp.workers.models import Worker
job = job_claim(Worker.objects.get(name="one"))
claimed_at = job.lease_expires_at
time.sleep(0.1)
assert job_renew(job)
job.refresh_from_db()
assert job.lease_expires_at > claimed_at
print(datetime.datetime.now(datetime.UTC).isoformat())
"""


def test_it_only_goes_forward(either_database: str) -> None:
    times = [database_now() for _look in range(50)]
    assert times == sorted(times)
    assert times[0].utcoffset() == timedelta(0)


def test_it_goes_on_inside_a_transaction(either_database: str) -> None:
    """PostgreSQL's now() would stand still, and leases with it."""
    with transaction.atomic():
        begin = database_now()
        while database_now() == begin:
            pass


@pytest.mark.slow
@pytest.mark.parametrize("shift", ["+1h", "-1h"])
def test_a_worker_whose_clock_is_wrong_changes_no_lease(postgresql_database: str, tmp_path: Path, shift: str) -> None:
    faketime = shutil.which("faketime")
    assert faketime, "faketime is missing, so a wrong clock cannot be tried: install it with `apt-get install faketime`"
    make_job(make_user())
    make_worker("one")
    said = subprocess.run(
        [faketime, "-f", shift, sys.executable, "-c", CLAIM_AND_RENEW],
        cwd=PROJECT, capture_output=True, text=True,
        env={
            **os.environ, "GRAFTWORK_DATABASE_URL": postgresql_database, "GRAFTWORK_HOME": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "webapp.settings",
        },
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    now = database_now()
    its_own = type(now).fromisoformat(said.stdout.strip())
    assert abs(its_own - now) > timedelta(minutes=50), "the clock was not wrong at all"
    job = Job.objects.get()
    assert job.lease_expires_at is not None and job.heartbeat_at is not None
    assert timedelta(0) < job.lease_expires_at - now < timedelta(seconds=61)
    assert abs(job.heartbeat_at - now) < timedelta(minutes=1)
    assert abs(JobAttempt.objects.get().started_at - now) < timedelta(minutes=1)
