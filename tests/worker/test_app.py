"""The worker's process beside Celery."""

import subprocess
import sys
from pathlib import Path

from tests.stack import PROJECT, environment_of_a_person

RETIRED_BEFORE_CELERY_LISTENS = """
from worker import app
from worker.slots import Slots
row = app.Worker(name="early", slots=0, intent=app.Intent.RETIRED)
app._Process.slots = Slots(row)
app._follow(row)
print("leaving", app._Process.slots.is_leaving.is_set(), "Celery ends with", app.state.should_stop)
"""


def test_a_worker_that_is_retired_while_it_starts_ends_in_peace(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", RETIRED_BEFORE_CELERY_LISTENS],
        cwd=PROJECT,
        env={**environment_of_a_person(), "GRAFTWORK_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout) == (0, "leaving True Celery ends with 0\n"), said.stderr
