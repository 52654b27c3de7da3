"""LoRA of rank 16 on all linear layers, on ragged and on even rows: against a Trainer at its best and as it comes."""

from collections.abc import Sequence
from functools import partial

from tests.bench.engine.figures import Figures, Run
from tests.bench.engine.floor import run_floor
from tests.bench.engine.race import Config, Race, run_ours, run_peer
from tests.bench.engine.rows import even, ragged
from tests.bench.engine.turn import Part, Turn

LORA = {"rank": 16, "alpha": 32}
RAGGED = Race(ragged, "lora", {**LORA, "max_length": 700}, num_steps=12)
EVEN = Race(even, "lora", LORA, num_steps=16)
TRIED = [
    Config(precision, attention)
    for precision in ("bf16 weights", "bf16 autocast", "fp32")
    for attention in ("sdpa", "eager")
]
AS_IT_COMES = Config("fp32", groups_by_length=False)
"""transformers 5 takes the precision the base is kept in if none is named; before, and in most scripts, it was fp32."""
FEW_STEPS = 4
"""Enough to tell the speed of what takes half a minute a step. Settings are told apart by all steps, since which is
faster depends on how long the rows are, and the longest come first."""
TRIALS = "trials"


def best_config(runs: Sequence[Run]) -> Config:
    """The fastest that was tried here; before any trial the one that was so elsewhere."""
    speeds = {run.who: run.figures["tokens_per_second"] for run in runs if run.part == TRIALS}
    return max(TRIED, key=lambda config: speeds.get(config.name, 0.0))


def run_best_peer(race: Race, turn: Turn, max_steps: int = 0) -> Figures:
    return run_peer(race, best_config(turn.runs), turn, max_steps=max_steps)


PARTS = (
    Part(
        TRIALS,
        {one.name: partial(run_peer, RAGGED, one, max_steps=RAGGED.num_steps) for one in TRIED},
        most_repeats=1,
    ),
    Part(
        "prompt-heavy",
        {
            "ours": partial(run_ours, RAGGED),
            "floor": partial(run_floor, "prompt-heavy"),
            "best peer": partial(run_best_peer, RAGGED),
            "peer as it comes": partial(run_peer, RAGGED, AS_IT_COMES, max_steps=FEW_STEPS),
        },
    ),
    Part("short", {"ours": partial(run_ours, EVEN), "best peer": partial(run_best_peer, EVEN)}),
)
