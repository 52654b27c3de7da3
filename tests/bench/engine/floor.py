"""The floor of a step: its frozen matrix products alone, forward and for the input's gradient, and nothing around them.

The head is left out: only few tokens go through it. python -m tests.bench.engine.floor TOKENS prints the seconds.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
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


def products_seconds(
    tokens: int, layers: Sequence[tuple[int, int]], num_blocks: int, device: str = "cpu", times: int = TIMES
) -> float:
    """Of one step's frozen products. `layers`: of a block, the width of what goes in and of what comes out."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else torch.cpu.synchronize
    # Each block has weights of its own, so that they come from memory as in a real step.
    weights = [torch.randn(out, into, device=device).bfloat16() for _block in range(num_blocks) for into, out in layers]
    given = {
        width: torch.randn(tokens, width, device=device).bfloat16() for width in {w for one in layers for w in one}
    }
    taken = []
    for _ in range(times):
        wait()
        began = time.perf_counter()
        for weight in weights:
            torch.mm(given[weight.shape[1]], weight.T)
        for weight in reversed(weights):
            torch.mm(given[weight.shape[0]], weight)
        wait()
        taken.append(time.perf_counter() - began)
    return median(taken[1:])


if __name__ == "__main__":
    print(products_seconds(int(sys.argv[1]), LAYERS, NUM_BLOCKS))  # noqa: T201
