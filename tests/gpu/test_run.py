"""The GPU script itself, run with tiny sizes on a processor, so that it works on the day there is a card."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cells import EVERY_METHOD
from tests.gpu.llama import SHAPES
from tests.gpu.run import Report
from tests.stack import PROJECT

SCRIPT = PROJECT / "tests" / "gpu" / "run.py"
WITHOUT_PYTEST = "import runpy, sys; sys.modules['pytest'] = None; sys.argv = sys.argv[1:]; "
WITHOUT_PYTEST += "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a run from another working directory, where pytest cannot be imported."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYTEST, str(SCRIPT), "--cpu", "--json", "figures.json"],
        cwd=elsewhere, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-4000:]
    written: dict[str, Any] = json.loads((elsewhere / "figures.json").read_text())
    assert json.loads(process.stdout)["sections"] == written["sections"]
    return written


def test_every_method_on_every_family_learns_loads_and_goes_on(results: dict[str, Any]) -> None:
    for cell in EVERY_METHOD:
        assert results["sections"][f"methods: {cell}"]["status"] == "passed"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_each_shape_is_compared_with_a_trainer_s(results: dict[str, Any], shape: str) -> None:
    section = results["sections"][f"llama: {shape}"]
    assert section["status"] == "passed"
    figures = section["figures"]
    for side in ("ours", "trainer_and_peft"):
        assert figures[side]["tokens_per_second"] > 0 and figures[side]["peak_memory_bytes"] > 0
        assert len(set(figures[side]["losses"])) > 1
    assert figures["frozen_products_seconds"] > 0


def test_what_only_a_card_can_show_is_never_passed_without_one(results: dict[str, Any]) -> None:
    checks = {name: one["status"] for name, one in results["sections"].items() if name.startswith("checks")}
    assert len(checks) == 5 and all(status.startswith("skipped: ") for status in checks.values())
    assert results["summary"]["failed"] == 0


def test_the_results_say_where_they_come_from(results: dict[str, Any]) -> None:
    assert results["device"] and results["is_cpu"] and results["versions"]["torch"]
    assert all(section["seconds"] >= 0 for section in results["sections"].values())


def test_a_section_that_fails_or_has_no_time_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.gpu.run.LAST_SECOND", 1e6)
    report = Report({}, tmp_path / "figures.json")

    def fail() -> None:
        raise AssertionError("the loss rose")

    report.run("slow", 0.05, lambda: time.sleep(60))
    assert report.exit_code == 0
    report.run("wrong", 5, fail)
    report.run("right", 5, lambda: {"figure": 1})
    monkeypatch.setattr("tests.gpu.run.LAST_SECOND", 0)
    report.run("late", 5, fail)
    told = json.loads((tmp_path / "figures.json").read_text())["sections"]
    assert [one["status"].partition(":")[0] for one in told.values()] == ["skipped", "failed", "passed", "skipped"]
    assert "the loss rose" in told["wrong"]["error"] and report.exit_code == 1
