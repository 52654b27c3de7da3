"""F24: a worker whose clock jumps. Leases are set and compared by the database's clock, so nobody notices."""

import random
import shutil
from pathlib import Path

import pytest

from tests.databases import new_database
from tests.faults.jobs import Person, all_succeed, until_step
from tests.faults.stack import running_faults, until
from webapp.jobs.models import Job

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

SLEEP_BY_SELECT = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""libfaketime 0.9.10 answers the call behind Python's own `time.sleep` with "Invalid argument"."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(LIBRARY is None, reason="Bring libfaketime: `apt-get install faketime`."),
]


@pytest.mark.parametrize("step", ["+3600", "-3600"])
def test_a_clock_that_jumps_by_an_hour_moves_no_lease(home: Path, step: str, dice: random.Random) -> None:
    """On PostgreSQL, whose clock is the server's; SQLite's is the one of the machine that all its users share."""
    clock = home / "clock"
    clock.write_text("+0")
    (home / "site").mkdir()
    (home / "site" / "sitecustomize.py").write_text(SLEEP_BY_SELECT)
    faked = {
        "PYTHONPATH": str(home / "site"),
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running_faults(home, new_database("postgresql"), workers=1) as stack:
        stack.start_worker("w2", **faked)
        person = Person()
        jobs = [person.asks("steps=120 seconds=0.1") for _ in range(2)]
        for job in jobs:
            until_step(job, dice.randint(3, 10))
        # Written beside and renamed: the worker reads it all the time.
        (home / "clock.new").write_text(step)
        shutil.move(home / "clock.new", clock)
        jobs += [person.asks("steps=10 seconds=0.1") for _ in range(6)]
        all_succeed(stack, jobs, 120)
        until(lambda: stack.parts["w2"].is_alive, 1, "the worker with the jumping clock is gone")
        names = set(Job.objects.values_list("attempts__worker__name", flat=True))
        assert names == {"w1", "w2"}
