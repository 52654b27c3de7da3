"""The floor of a step: its frozen matrix products alone, forward and for the input's gradient, and nothing around them.

The head is left out: only few tokens go through it. python -m tests.bench.engine.floor TOKENS prints the seconds.
"""

import subprocess
import sys
import time
from statistics import median

from tests.bench.engine.figures import Figures
from tests.bench.engine.turn import Turn, environment
from tests.stack import PROJECT

HIDDEN, KEYS, WIDE, NUM_BLOCKS = 576, 192, 1536, 30
"""SmolLM2-135M."""
LAYERS = [
    (HIDDEN, HIDDEN), (HIDDEN, KEYS), (HIDDEN, KEYS), (HIDDEN, HIDDEN), (HIDDEN, WIDE), (HIDDEN, WIDE), (WIDE, HIDDEN),
]  # fmt: skip
"""Of a block: how wide what goes in, and what comes out: q, k, v, o, gate, up, down."""
TIMES = 9


def run_floor(part: str, turn: Turn) -> Figures:
    """At the mean number of real tokens of our steps in this part, which stands before it."""
    steps = [run.figures for run in turn.runs if (run.part, run.who) == (part, "ours")]
    if not steps:
        raise RuntimeError("the floor is measured at our steps' number of tokens: measure “ours” first.")
    tokens = round(steps[-1]["tokens"] / steps[-1]["steps"])
    words = [sys.executable, "-m", "tests.bench.engine.floor", str(tokens)]
    done = subprocess.run(words, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=True)
    seconds = float(done.stdout)
    return {"tokens_per_second": tokens / seconds, "step_seconds": seconds, "tokens": tokens}


def _seconds(tokens: int) -> float:
    import torch

    # Each block has weights of its own, so that they come from memory as in a real step.
    weights = [torch.randn(out, into).bfloat16() for _block in range(NUM_BLOCKS) for into, out in LAYERS]
    given = {width: torch.randn(tokens, width).bfloat16() for width in (HIDDEN, KEYS, WIDE)}
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        for weight in weights:
            torch.mm(given[weight.shape[1]], weight.T)
        for weight in reversed(weights):
            torch.mm(given[weight.shape[0]], weight)
        taken.append(time.perf_counter() - began)
    return median(taken[1:])


if __name__ == "__main__":
    print(_seconds(int(sys.argv[1])))  # noqa: T201
