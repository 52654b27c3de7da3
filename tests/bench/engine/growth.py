"""What more rows and longer rows cost: time a token and memory. Of many rows a few steps are enough to see both."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures, differences, step_figures
from tests.bench.engine.lora import LORA
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED
from tests.bench.engine.rows import even, ragged
from tests.bench.engine.turn import Part, Turn, environment
from tests.bench.rows import Row
from tests.engine.runs import events_of
from tests.stack import PROJECT
from webapp.contract.events import Event
from webapp.contract.job_dir import EVENTS

ROWS = (1_000, 10_000, 100_000)
LENGTHS = (64, 128, 256, 512, 1024)
NUM_STEPS = 10
BATCH_SIZE = 8
FEWEST_STEPS, FEWEST_TOKENS = 5, 12_288
"""Of a length: three steps of 512 tokens are over in three seconds, and read a tenth more or less each time."""
MOST_MINUTES = 20
MOST_REPEATS = 3


def run_rows(how_many: int, turn: Turn) -> Figures:
    recipe = ours.recipe_of("lora", LORA, seed=turn.seed)
    rows = even(how_many + NUM_WATCHED_AND_JUDGED)
    job_dir = ours.lay(turn.folder / "job", recipe, rows, num_train=how_many)
    return _figures(_first_steps(job_dir))


def run_length(length: int, turn: Turn) -> Figures:
    """Rows that are cut to just this length, as each is longer."""
    recipe = ours.recipe_of("lora", {**LORA, "max_length": length}, seed=turn.seed)
    num_train = BATCH_SIZE * max(FEWEST_STEPS, FEWEST_TOKENS // (BATCH_SIZE * length))
    rows = _long(num_train + NUM_WATCHED_AND_JUDGED)
    return _figures(ours.run(ours.lay(turn.folder / "job", recipe, rows, num_train=num_train)))


def _long(how_many: int) -> list[Row]:
    """Of several texts each; tokens of an English text have four characters."""
    texts = ragged(how_many + 10)
    return [{**texts[at], "input": "\n".join(one["input"] for one in texts[at : at + 10])} for at in range(how_many)]


def _figures(events: list[Event]) -> Figures:
    steps = ours.steps_of(events)
    tokens = differences([step.tokens for _began, step in steps])
    figures = step_figures([began for began, _step in steps], [step.at for _began, step in steps], tokens)
    loaded = next(event for event in events if event.at > events[0].at)
    return {
        **figures,
        "seconds_a_token": 1 / figures["tokens_per_second"],
        "peak_memory_bytes": steps[-1][1].peak_memory_bytes,
        "loading_seconds": loaded.at - events[0].at,
    }


def _first_steps(job_dir: Path) -> list[Event]:
    """What the engine tells until it has done so many, and is killed."""
    words = [sys.executable, "-m", "worker.engine", str(job_dir)]
    process = subprocess.Popen(words, cwd=PROJECT, env=environment(), stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60 * MOST_MINUTES
    try:
        while time.monotonic() < deadline and process.poll() is None:
            events = events_of(job_dir) if (job_dir / EVENTS).exists() else []
            if len(ours.steps_of(events)) >= NUM_STEPS:
                return events
            time.sleep(1)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    raise RuntimeError(f"the engine did not come to step {NUM_STEPS} in {MOST_MINUTES} minutes, or failed before.")


PARTS = (
    Part("rows", {f"{many}": partial(run_rows, many) for many in ROWS}, most_repeats=MOST_REPEATS),
    Part("length", {f"{length}": partial(run_length, length) for length in LENGTHS}, most_repeats=MOST_REPEATS),
)
