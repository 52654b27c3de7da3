"""F34: many jobs while everything breaks at random: none lost, none done twice, no file that differs."""

import random
from pathlib import Path

import pytest

from tests.faults.chaos import run
from tests.faults.stack import running_faults
from webapp.jobs.models import Job, State


@pytest.mark.faults
def test_thirty_jobs_survive_chaos(home: Path, database_url: str, dice: random.Random) -> None:
    with running_faults(home, database_url, workers=3) as stack:
        figures = run(stack, num_jobs=30, dice=dice, every=0.6, within=60)
    assert sum(figures["states"].values()) == 30, figures
    assert sum(figures["faults"].values()) >= 5, figures


@pytest.mark.faults
def test_a_thousand_jobs_survive_chaos(home: Path, either_database_url: str, dice: random.Random) -> None:
    with running_faults(home, either_database_url, workers=4, web=True) as stack:
        figures = run(stack, num_jobs=1000, dice=dice, every=0.8, within=3000)
        print(figures)  # noqa: T201
        assert Job.objects.filter(state=State.FAILED).count() <= 20, figures
    assert sum(figures["states"].values()) == 1000, figures
