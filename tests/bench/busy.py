"""How much longer a step takes beside busy processes: `python -m tests.bench busy [--against CHECKOUT] [--repeats 3]`.

The engine trains SmolLM2 with LoRA of rank 16 on short rows, two threads, as a worker starts it; a job's first steps
are counted from its events, then it is ended. Beside it run none, one or two processes of `while True: pass`. With
`--against`, another checkout of the project takes turns with this one, so that both meet the same hour of the machine.
Each run is a line in `tests/bench/results/busy.jsonl`. Wants a quiet machine of two cores.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.engine.figures import Run, add_run, machine, medians
from tests.bench.engine.lora import EVEN
from tests.bench.engine.ours import lay, steps_of
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED
from tests.bench.engine.turn import THREADS, environment
from tests.engine.runs import events_of
from tests.stack import PROJECT
from webapp.contract.job_dir import RECIPE

RESULTS = Path(__file__).parent / "results" / "busy.jsonl"
NUM_BUSY = (0, 1, 2)
WARM_UP_STEPS, COUNTED_STEPS = 4, 10
BARS = {0: 1.03, 1: 1.8, 2: 3.0}
"""Beside so many: at most this multiple of a quiet step; for none of the other checkout's quiet step."""
HERE, AGAINST = "ours", "against"
POLL_SECONDS, PATIENCE_SECONDS = 0.1, 600.0


def busy(words: Sequence[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench busy", description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of the project")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(words)
    checkouts = {HERE: PROJECT} | ({AGAINST: asked.against.resolve()} if asked.against else {})
    runs: list[Run] = []
    for repeat in range(asked.repeats):
        for num_busy in NUM_BUSY:
            for who, checkout in checkouts.items():
                seconds = _step_seconds(checkout, num_busy)
                part, figures = f"beside {num_busy}", {"step_seconds": seconds}
                run = Run(
                    part=part, who=who, repeat=repeat, figures=figures, threads=THREADS, machine=machine()
                )  # fmt: skip
                runs.append(run)
                add_run(RESULTS, run)
                yield f"{part}, {who}, {repeat + 1}: {seconds:.3f} s a step"
    yield from _table({key: figures["step_seconds"] for key, figures in medians(runs).items()}, list(checkouts))


def _table(seconds: dict[tuple[str, str], float], who: list[str]) -> Iterator[str]:
    yield "| busy processes beside | " + " | ".join(f"{one}, s a step, times its quiet" for one in who) + " | bar |"
    yield "|---" * (2 + len(who)) + "|"
    quiet = {one: seconds["beside 0", one] for one in who}
    for num_busy in NUM_BUSY:
        of_each = [(seconds[f"beside {num_busy}", one], quiet[one]) for one in who]
        cells = " | ".join(f"{took:.3f}, {took / own:.2f}" for took, own in of_each)
        yield f"| {num_busy} | {cells} | {BARS[num_busy]} |"
    if AGAINST in quiet:
        yield f"Quiet, ours by the other checkout's: {quiet[HERE] / quiet[AGAINST]:.3f} (bar {BARS[0]})"


def _step_seconds(checkout: Path, num_busy: int) -> float:
    """The median of some steps after the first. Raises RuntimeError if the engine ends before."""
    with tempfile.TemporaryDirectory(prefix="gw-busy-") as scratch, ExitStack() as others:
        rows = EVEN.rows(EVEN.num_train + NUM_WATCHED_AND_JUDGED)
        job_dir = lay(Path(scratch) / "job", EVEN.recipe(17), rows, num_train=EVEN.num_train)
        _speak_to(checkout, job_dir / RECIPE)
        for _ in range(num_busy):
            others.enter_context(_running([sys.executable, "-c", "while True: pass"]))
        words = [sys.executable, "-m", "worker.engine", str(job_dir)]
        engine = others.enter_context(_running(words, cwd=checkout, env=environment(), stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(steps := steps_of(events_of(job_dir))) < WARM_UP_STEPS + COUNTED_STEPS:
            if engine.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the engine took {len(steps)} steps and ended with {engine.returncode}")
            time.sleep(POLL_SECONDS)
        seconds = sorted(step.at - began for began, step in steps[WARM_UP_STEPS : WARM_UP_STEPS + COUNTED_STEPS])
        return seconds[len(seconds) // 2]


def _speak_to(checkout: Path, recipe: Path) -> None:
    """Name the newest recipe version that the checkout knows; what a LoRA job trains is the same in all of them."""
    source = (checkout / "webapp" / "contract" / "version.py").read_text()
    version = int(re.findall(r"^RECIPE_VERSION = (\d+)", source, re.MULTILINE)[0])
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "version": version}))


@contextmanager
def _running(words: list[str], **how: object) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(words, **how)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()
