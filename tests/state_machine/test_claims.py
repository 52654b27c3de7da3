"""Eight worker processes that claim and hand back as fast as they can: no attempt is given twice, none is lost."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.factories import make_job, make_user, make_worker
from webapp.jobs.models import Job, JobAttempt, Outcome, State

PROJECT = Path(__file__).resolve().parent.parent.parent
NUM_PROCESSES = 8


def race(url: str, each: int, home: Path) -> list[tuple[str, int, float]]:
    """All claims of all processes, which begin together."""
    environment = {
        **os.environ,
        "GRAFTWORK_DATABASE_URL": url,
        "GRAFTWORK_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.state_machine.claimer", f"claimer-{number}", str(each)],
            cwd=PROJECT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(NUM_PROCESSES)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        answers = [(process, *process.communicate("go\n", timeout=600)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, _out, err in answers:
        assert process.returncode == 0, err
        # Not even an error that was overcome by trying again.
        assert "faltered" not in err, err
    return [tuple(one) for _process, out, _err in answers for one in json.loads(out)]


def check(url: str, each: int, num_jobs: int, home: Path) -> None:
    alice = make_user()
    for _job in range(num_jobs):
        make_job(alice)
    for number in range(NUM_PROCESSES):
        make_worker(f"claimer-{number}")
    claims = race(url, each, home)
    assert len(claims) == NUM_PROCESSES * each
    assert max(Counter((job, attempt) for job, attempt, _seconds in claims).values()) == 1
    recorded = {(str(job), number) for job, number in JobAttempt.objects.values_list("job_id", "number")}
    assert recorded == {(job, attempt) for job, attempt, _seconds in claims}
    assert set(JobAttempt.objects.values_list("outcome", flat=True)) == {Outcome.HANDED_BACK}
    for job in Job.objects.all():
        assert job.state == State.QUEUED
        assert job.attempts.count() == job.attempt
        assert list(job.events.values_list("seq", flat=True)) == list(range(1, 2 + 2 * job.attempt))
    seconds = sorted(seconds for _job, _attempt, seconds in claims)
    p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    print(f"{len(claims)} claims on {url.partition(':')[0]}: p50 {p50:.3f} s, p99 {p99:.3f} s")  # noqa: T201


def test_every_claim_is_one_attempt(either_database: str, data_dir: Path) -> None:
    check(either_database, each=25, num_jobs=20, home=data_dir)


@pytest.mark.slow
def test_every_claim_of_many_is_one_attempt(either_database: str, data_dir: Path) -> None:
    check(either_database, each=200, num_jobs=100, home=data_dir)
