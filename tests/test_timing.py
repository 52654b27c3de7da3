"""Timings that could lose a job are refused, by the name of the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from webapp.timing import Timing, timing_from_environment

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GRAFTWORK_") and name.endswith("_SECONDS")]:
        monkeypatch.delenv(name)


def test_what_nobody_sets_is_allowed() -> None:
    assert timing_from_environment() == Timing()


def test_every_timing_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_STOP_GRACE_SECONDS", "2.5")
    monkeypatch.setenv("GRAFTWORK_LEASE_SECONDS", "59")
    assert timing_from_environment() == Timing(stop_grace=2.5, lease=59)


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf", "1e10", "10 s"])
@pytest.mark.parametrize("name", ["GRAFTWORK_POLL_SECONDS", "GRAFTWORK_LEASE_SECONDS"])
def test_what_is_no_number_of_seconds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured, match=f"{name}='{text}': give a number of seconds above 0"):
        timing_from_environment()


@pytest.mark.parametrize(
    ("set_to", "told"),
    [
        ({"HEARTBEAT": "21"}, "three heartbeats must fit into a lease"),
        ({"LEASE": "20"}, "GRAFTWORK_HEARTBEAT_SECONDS=10 is too long for GRAFTWORK_LEASE_SECONDS=20"),
        ({"LEASE": "71"}, "within which a dead worker must be noticed"),
        ({"SWEEP": "16"}, "GRAFTWORK_LEASE_SECONDS=60 and GRAFTWORK_SWEEP_SECONDS=16"),
        ({"SWEEP": "9"}, "six sweeps and a heartbeat must fit into a lease"),
    ],
)
def test_combinations_that_lose_jobs_are_refused(
    monkeypatch: pytest.MonkeyPatch, set_to: dict[str, str], told: str
) -> None:
    for name, text in set_to.items():
        monkeypatch.setenv(f"GRAFTWORK_{name}_SECONDS", text)
    with pytest.raises(ImproperlyConfigured, match=told):
        timing_from_environment()


def test_a_bad_timing_stops_the_start_with_its_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "GRAFTWORK_HOME": str(tmp_path), "GRAFTWORK_LEASE_SECONDS": "never"}
    said = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert said.returncode != 0
    assert "GRAFTWORK_LEASE_SECONDS='never': give a number of seconds above 0." in said.stderr
