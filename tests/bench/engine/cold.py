"""From a command to the first optimizer step: a Trainer's script started cold, a job submitted to a warm worker, and
our engine started cold, as where no child stands by."""

import time
from functools import partial

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures
from tests.bench.engine.lora import EVEN, run_best_peer
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED
from tests.bench.engine.turn import Part, Turn
from tests.bench.first_step import submits

NUM_STEPS = 3
FEW = EVEN._replace(num_steps=NUM_STEPS)


def submitted(turn: Turn) -> Figures:
    """The second job of a stack: the first one is what warms the worker."""
    *_first, marks = submits(turn.folder, 1)
    return {"first_step_seconds": marks["stepped"]}


def started(turn: Turn) -> Figures:
    rows = FEW.rows(FEW.num_train + NUM_WATCHED_AND_JUDGED)
    job_dir = ours.lay(turn.folder / "job", FEW.recipe(turn.seed), rows, num_train=FEW.num_train)
    began = time.time()
    _before, step = ours.steps_of(ours.run(job_dir))[0]
    return {"first_step_seconds": step.at - began}


PARTS = (
    Part(
        "first step",
        {
            "ours": submitted,
            "ours, cold": started,
            "best peer": partial(run_best_peer, FEW, max_steps=NUM_STEPS),
        },
    ),
)
