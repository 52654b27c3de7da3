"""From a command to the first optimizer step: the peer's script against our engine, both started cold.

What a warm worker makes of it, from submit on, is measured by the stack's own bench.
"""

import time
from functools import partial

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures
from tests.bench.engine.lora import EVEN, run_best_peer
from tests.bench.engine.race import NUM_WATCHED_AND_JUDGED
from tests.bench.engine.turn import Part, Turn

NUM_STEPS = 3
FEW = EVEN._replace(num_steps=NUM_STEPS)


def first_step(turn: Turn) -> Figures:
    rows = FEW.rows(FEW.num_train + NUM_WATCHED_AND_JUDGED)
    job_dir = ours.lay(turn.folder / "job", FEW.recipe(turn.seed), rows, num_train=FEW.num_train)
    began = time.time()
    _before, step = ours.steps_of(ours.run(job_dir))[0]
    return {"first_step_seconds": step.at - began}


PARTS = (Part("first step", {"ours, cold": first_step, "best peer": partial(run_best_peer, FEW, max_steps=NUM_STEPS)}),)
