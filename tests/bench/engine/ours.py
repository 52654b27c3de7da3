"""Our side: the engine on a job's folder, in a process of its own, as a worker runs it. Figures from what it tells."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.engine.figures import Figures, differences, step_figures
from tests.bench.engine.turn import environment
from tests.bench.presets import base_model_folder
from tests.bench.rows import SMOLLM2, Row
from tests.engine.runs import events_of
from tests.stack import PROJECT
from tests.tiny import lay_job_dir_of
from webapp.contract.base_models import STARTERS
from webapp.contract.events import Event, Stepped
from webapp.contract.job_dir import ROWS, VERDICT
from webapp.contract.methods import KnobValue
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.rows import SPLIT_COLUMN
from webapp.contract.tasks import Task
from webapp.contract.verdict import Cost, Verdict


def recipe_of(
    method: str, changes: dict[str, KnobValue], *, seed: int, base_model: str = SMOLLM2, task: Task = "generate"
) -> Recipe:
    """Auto for a small set of rows, once through them, with these knobs changed."""
    auto = auto_knobs(method, task, STARTERS[base_model].shape, 100)
    knobs = {**auto, "epochs": 1, "patience": 0, "batch_size": 8, **changes}
    return Recipe(task=task, base_model=base_model, method=method, knobs=knobs, seed=seed)


def lay(folder: Path, recipe: Recipe, rows: list[Row], *, num_train: int, num_test: int = 6) -> Path:
    """A job of these rows: the first to train on, the last to judge by, those between to watch."""
    job_dir = lay_job_dir_of(folder, recipe, rows, base_model_folder(recipe.base_model))
    num_watched = len(rows) - num_train - num_test
    sides = ["train"] * num_train + ["validation"] * num_watched + ["test"] * num_test
    table = pq.read_table(job_dir / ROWS).drop_columns([SPLIT_COLUMN])
    pq.write_table(table.append_column(SPLIT_COLUMN, pa.array(sides, pa.string())), job_dir / ROWS)
    return job_dir


def run(job_dir: Path) -> list[Event]:
    """What the engine told. Raises RuntimeError with its last words if it fails."""
    words = [sys.executable, "-m", "worker.engine", str(job_dir)]
    process = subprocess.run(words, cwd=PROJECT, env=environment(), capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"the engine ended with {process.returncode}: {process.stderr[-800:]}")
    return events_of(job_dir)


def cost_of(job_dir: Path) -> Cost:
    return Verdict.model_validate_json((job_dir / VERDICT).read_text()).cost


def steps_of(events: list[Event]) -> list[tuple[float, Stepped]]:
    """Each step and when it began: when whatever came before was told, so that looks at the watched rows and
    checkpoints, which the peers do without, are no part of it."""
    return [(before.at, event) for before, event in pairwise(events) if isinstance(event, Stepped)]


def training_figures(job_dir: Path, events: list[Event]) -> Figures:
    steps = steps_of(events)
    figures = step_figures(
        [began for began, _step in steps],
        [step.at for _began, step in steps],
        differences([step.tokens for _began, step in steps]),
    )
    cost = cost_of(job_dir)
    return {**figures, "peak_memory_bytes": cost.peak_memory_bytes, "train_seconds": cost.train_seconds}
