"""MiniLM on 2,000 rows: a whole job, from the press of Start to the verdict, on a warm worker or from a cold start of
our engine, against a Trainer script's whole process.

All train LoRA for as many epochs on as many rows, and measure 200 held-out rows before and after.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures
from tests.bench.engine.race import run_script
from tests.bench.engine.rows import labelled
from tests.bench.engine.turn import Part, Turn
from tests.bench.first_step import PATIENCE_SECONDS, rows_file, until_rested
from tests.bench.presets import base_model_folder
from tests.bench.rows import MINILM
from tests.person import Person
from tests.stack import running_stack
from webapp.contract.job_dir import VERDICT
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Verdict

NUM_ROWS, NUM_TRAIN, NUM_TEST = 2000, 1700, 200
"""As the app splits them."""
EPOCHS = 2
MODEL = "ready-minilm"
"""Its title, which is its id as well."""


def _recipe(seed: int) -> Recipe:
    return ours.recipe_of("lora", {"epochs": EPOCHS}, seed=seed, base_model=MINILM, task="classify")


def submitted(turn: Turn) -> Figures:
    """The second job of a stack: the first one is what warms the worker."""
    with running_stack(turn.folder / "data", GRAFTWORK_STANDBY="yes") as stack:
        person = Person(stack)
        person.base_model_register(base_model_folder(MINILM), title=MODEL)
        path = rows_file(turn.folder, labelled(NUM_ROWS))
        version = person.dataset_upload(path, name="Packages", mapping={"input": "input", "output": "output"})

        def submit(epochs: int) -> str:
            return person.job_start(
                name=f"{epochs} epochs", dataset=version, task="classify", base_model=MODEL, method="lora",
                epochs=str(epochs), patience="0",
            )  # fmt: skip

        person.job_follow(submit(1), lambda _job: None)
        until_rested(psutil.Process(stack.process.pid))
        began = time.time()
        attempt = stack.home / "jobs" / submit(EPOCHS).rstrip("/").rpartition("/")[2] / "1"
        while not (attempt / VERDICT).exists():
            if time.time() > began + PATIENCE_SECONDS:
                raise RuntimeError(f"no verdict was reached in {attempt}")
            time.sleep(0.05)
        return {"seconds": time.time() - began, **_judged(attempt)}


def started(turn: Turn) -> Figures:
    job_dir = ours.lay(
        turn.folder / "job", _recipe(turn.seed), labelled(NUM_ROWS), num_train=NUM_TRAIN, num_test=NUM_TEST
    )
    began = time.time()
    ours.run(job_dir)
    return {"seconds": time.time() - began, **_judged(job_dir)}


def _judged(job_dir: Path) -> Figures:
    verdict = Verdict.model_validate_json((job_dir / VERDICT).read_text())
    accuracy = next(one.tuned for one in (verdict.primary, *verdict.others) if one.metric == "accuracy")
    cost = verdict.cost
    return {
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


MEASURES: dict[str, Callable[[Turn], Figures]] = {"ours": submitted, "ours, cold": started, "best peer": whole_script}
PARTS = (Part("classification", MEASURES),)
