"""MiniLM on 2,000 rows: a whole job of ours, from its folder to the verdict, against a Trainer script's whole process.

Both train LoRA for as many epochs on the same rows, and measure the same 200 held-out rows before and after.
"""

import json
import time
from collections.abc import Callable

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures
from tests.bench.engine.race import run_script
from tests.bench.engine.rows import labelled
from tests.bench.engine.turn import Part, Turn
from tests.bench.presets import base_model_folder
from tests.bench.rows import MINILM
from webapp.contract.job_dir import VERDICT
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Verdict

NUM_ROWS, NUM_TRAIN, NUM_TEST = 2000, 1700, 200


def _recipe(seed: int) -> Recipe:
    return ours.recipe_of("lora", {"epochs": 2}, seed=seed, base_model=MINILM, task="classify")


def whole_job(turn: Turn) -> Figures:
    job_dir = ours.lay(
        turn.folder / "job", _recipe(turn.seed), labelled(NUM_ROWS), num_train=NUM_TRAIN, num_test=NUM_TEST
    )
    began = time.time()
    ours.run(job_dir)
    seconds = time.time() - began
    verdict = Verdict.model_validate_json((job_dir / VERDICT).read_text())
    accuracy = next(one.tuned for one in (verdict.primary, *verdict.others) if one.metric == "accuracy")
    cost = verdict.cost
    return {
        "seconds": seconds,
        "train_seconds": cost.train_seconds,
        "accuracy": accuracy,
        "peak_memory_bytes": cost.peak_memory_bytes,
    }


def whole_script(turn: Turn) -> Figures:
    rows = labelled(NUM_ROWS)
    for name, part in (("train", rows[:NUM_TRAIN]), ("test", rows[-NUM_TEST:])):
        (turn.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    folder = {"base_model": str(base_model_folder(MINILM)), "folder": str(turn.folder), "seed": turn.seed}
    began = time.time()
    told = run_script("classify.py", {**_recipe(turn.seed).knobs, **folder}, turn.folder)
    return {"seconds": time.time() - began, **told}


MEASURES: dict[str, Callable[[Turn], Figures]] = {"ours": whole_job, "best peer": whole_script}
PARTS = (Part("classification", MEASURES),)
