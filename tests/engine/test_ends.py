"""How a run ends: asked to stop, left alone, with a wrong setting, with files that are not there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.runs import Run, events_of, run_engine
from tests.stack import PROJECT
from tests.tiny import capitals, lay_job_dir, make_llama, tiny_recipe
from webapp.contract.events import Failed, Stepped, Stopped
from webapp.contract.job_dir import ADAPTER, EVENTS, RECIPE, ROWS


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("base") / "tiny")


def supervised(job_dir: Path) -> "subprocess.Popen[bytes]":
    """A long run with a control pipe, already past its first steps."""
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.engine", str(job_dir), "--supervised"],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(isinstance(event, Stepped) for event in events_of(job_dir)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return process


def failure(job_dir: Path) -> Failed:
    last = events_of(job_dir)[-1]
    assert isinstance(last, Failed)
    assert not (job_dir / ADAPTER).exists()
    return last


@pytest.fixture
def long_job(base: Path, tmp_path: Path) -> Path:
    return lay_job_dir(tmp_path / "job", tiny_recipe(base, epochs=100, batch_size=1), capitals(), base)


def test_asked_to_stop_it_stops_between_two_steps(long_job: Path) -> None:
    process = supervised(long_job)
    assert process.stdin is not None
    process.stdin.write(b"S\n")
    process.stdin.flush()
    assert process.wait(20) == 3
    last = events_of(long_job)[-1]
    steps = [event.step for event in events_of(long_job) if isinstance(event, Stepped)]
    assert isinstance(last, Stopped) and last.step == steps[-1]
    assert not (long_job / ADAPTER).exists()


def test_it_dies_with_its_supervisor(long_job: Path) -> None:
    process = supervised(long_job)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == -signal.SIGKILL


def test_a_base_model_with_spoilt_weights_is_said_so(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    spoil(base)
    run = Run(tmp_path, task="generate", method="lora", base=base)
    assert run.process.returncode == 4
    failed = failure(run.job_dir)
    assert failed.code == "base_model" and "not a number" in failed.message


def test_an_unknown_setting_is_named(base: Path, tmp_path: Path) -> None:
    job_dir = lay_job_dir(tmp_path / "job", tiny_recipe(base), capitals(), base)
    recipe = json.loads((job_dir / RECIPE).read_text())
    (job_dir / RECIPE).write_text(json.dumps({**recipe, "leraning_rate": 1}))
    assert run_engine(job_dir).returncode != 0
    assert "leraning_rate" in failure(job_dir).message


def test_missing_rows_are_said_so(base: Path, tmp_path: Path) -> None:
    job_dir = lay_job_dir(tmp_path / "job", tiny_recipe(base), capitals(), base)
    (job_dir / ROWS).unlink()
    assert run_engine(job_dir).returncode == 4
    assert "rows.parquet" in failure(job_dir).message


def test_a_base_model_without_weights_is_said_so(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    job_dir = lay_job_dir(tmp_path / "job", tiny_recipe(base), capitals(), base)
    (base / "model.safetensors").unlink()
    assert run_engine(job_dir).returncode == 4
    assert failure(job_dir).code == "base_model"


def test_a_torn_event_line_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / EVENTS
    path.write_text('{"kind":"stopped","step":1,"at":1}\n{"kind":"sto')
    assert [event.kind for event in events_of(tmp_path)] == ["stopped"]


def spoil(base: Path) -> None:
    """Weights that are not numbers, as after a bad merge."""
    from safetensors.torch import load_file, save_file

    path = base / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] *= float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    os.sync()
