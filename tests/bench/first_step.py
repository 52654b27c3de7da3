"""How long a person waits from the press of Start to the first optimizer step, over HTTP, on a warm worker.

python -m tests.bench first-step [--submits 5] [--no-peer]

Beside it a Trainer's script of the same rows is started cold.
"""

import argparse
import csv
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.bench.engine.lora import EVEN, LORA, run_best_peer
from tests.bench.engine.turn import Turn
from tests.bench.presets import base_model_folder
from tests.bench.rows import SMOLLM2, Row
from tests.engine.runs import events_of
from tests.person import Person
from tests.stack import running_stack
from webapp.contract.events import Event

NUM_ROWS = 300
MODEL = "ready-smollm2"
"""Its title, which is its id as well."""
PATIENCE_SECONDS = 600.0
RESTED_SECONDS, MOST_SECONDS = 2.0, 60.0
"""With next to no work of the stack's processes: the worker is warm then, as it is when a person reads a page."""

MARKS = ("phase_moved", "started", "stepped")
"""When the engine has the job, when all is loaded, when the first step is done."""


def first_step(words: list[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench first-step")
    parser.add_argument("--submits", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    asked = parser.parse_args(words)
    yield f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {SMOLLM2}, LoRA r16, dates"
    home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    try:
        yield from _ours(home, asked.submits)
        if not asked.no_peer:
            (home / "peer").mkdir()
            few = EVEN._replace(num_steps=3)
            told = run_best_peer(few, Turn(home / "peer", 0, []), max_steps=3)
            yield f"a Trainer's script, cold: {told['first_step_seconds']:.2f} s"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _ours(home: Path, num_submits: int) -> Iterator[str]:
    waits = []
    for number, marks in enumerate(submits(home, num_submits)):
        told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in marks.items())
        yield f"{'first job after the start' if number == 0 else f'submit {number}'}: {told}"
        if number:
            waits.append(marks["stepped"])
    yield f"median from submit to the first step: {statistics.median(waits):.2f} s of {len(waits)}"


def submits(home: Path, num_submits: int) -> Iterator[dict[str, float]]:
    """The marks of the first job after the start of a stack, and of so many more."""
    with running_stack(home / "data", GRAFTWORK_STANDBY="yes") as stack:
        person = Person(stack)
        person.base_model_register(base_model_folder(SMOLLM2), title=MODEL)
        version = person.dataset_upload(
            rows_file(home, EVEN.rows(NUM_ROWS)), name="Dates", mapping={"input": "input", "output": "output"}
        )
        launcher = psutil.Process(stack.process.pid)
        for number in range(num_submits + 1):
            until_rested(launcher)
            rested = _engine_seconds(launcher)
            url, marks = _submit(person, stack.home, version, number)
            marks["processor"] = _engine_seconds(launcher) - rested
            person.job_cancel(url)
            person.job_follow(url, lambda _job: None)
            yield marks


def _submit(person: Person, home: Path, version: str, number: int) -> tuple[str, dict[str, float]]:
    """The job's address, and the seconds since the press of Start at which each mark was told."""
    knobs = {"rank": str(LORA["rank"]), "alpha": str(LORA["alpha"]), "targets": "all-linear"}
    began = time.time()
    url = person.job_start(
        name=f"Job {number}", dataset=version, task="generate", base_model=MODEL, method="lora",
        **knobs,
    )  # fmt: skip
    accepted = time.time() - began
    attempt = home / "jobs" / url.rstrip("/").rpartition("/")[2] / "1"
    firsts = _firsts(attempt, began + PATIENCE_SECONDS)
    return url, {"accepted": accepted} | {name: firsts[name].at - began for name in MARKS}


def _firsts(attempt: Path, deadline: float) -> dict[str, Event]:
    """The first event of each kind, once there was a step."""
    while time.time() < deadline:
        told = events_of(attempt)
        if any(event.kind == "stepped" for event in told):
            return {event.kind: event for event in reversed(told)}
        time.sleep(0.05)
    raise RuntimeError(f"no step was told in {attempt}")


def until_rested(launcher: psutil.Process) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        before = _work_of(launcher)
        time.sleep(RESTED_SECONDS)
        if _work_of(launcher) - before < 0.2 * RESTED_SECONDS:
            return


def _work_of(launcher: psutil.Process) -> float:
    """Processor seconds so far, of all that it has started."""
    return sum(sum(process.cpu_times()[:2]) for process in launcher.children(recursive=True))


def _engine_seconds(launcher: psutil.Process) -> float:
    """The processor's, so far, of what trains or stands by: on a machine that others use, what is left to compare."""
    engines = [one for one in launcher.children(recursive=True) if "worker.engine" in " ".join(one.cmdline())]
    return sum(sum(engine.cpu_times()[:2]) for engine in engines)


def rows_file(folder: Path, rows: list[Row]) -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["input", "output"])
        writer.writerows([row["input"], row["output"]] for row in rows)
    return path
