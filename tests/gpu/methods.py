"""Each method on each family, with a tiny model: it learns, it loads as it was saved, it goes on after a stop."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.engine.cells import Cell, knobs_of_cell
from tests.engine.here import Attempt, asked, lay_job, with_options
from tests.engine.runs import MAKERS
from webapp.contract.continuing import knobs_to_continue
from webapp.contract.held_out import read_held_out
from webapp.contract.job_dir import BASE_MODEL, HELD_OUT, MANIFEST, RECIPE, Manifest
from webapp.contract.recipe import Recipe
from worker.engine.measure import label_log_probabilities, losses_of
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import choose_place, load_base
from worker.engine.rows import read_rows
from worker.engine.tokenizer import load_tokenizer

STOP_AT_STEP = 5
CLOSE = {"rtol": 0.05, "atol": 0.05}
"""Of losses that bf16 has rounded along the way."""


def check_cell(folder: Path, cell: Cell) -> dict[str, Any]:
    """Train one job twice, the second time with a stop in between. Raises AssertionError."""
    make_base_in_bf16(folder / "base", cell.kind)
    whole = Attempt(job_of(folder, cell))
    assert whole.exit_code == 0, whole.events[-1]
    watched = [loss for loss, _is_best in whole.watched.values()]
    assert min(watched[1:]) < watched[0], f"the loss did not fall: {watched}"
    again = job_of(folder, cell)
    stopped = asked(again, "stop", "stepped", STOP_AT_STEP)
    assert stopped.exit_code == 3 and stopped.steps_kept, stopped.events[-1]
    resumed = Attempt(again)
    assert resumed.exit_code == 0, resumed.events[-1]
    assert resumed.of_kind("started")[0].resumed_step > 0
    return {
        "precision": whole.of_kind("started")[0].precision,
        "first_watched_loss": watched[0],
        "least_watched_loss": min(watched),
        "largest_difference_after_loading": difference_after_loading(whole),
        "largest_difference_after_a_stop": difference_after_a_stop(whole, stopped, resumed),
    }


def make_base_in_bf16(folder: Path, kind: str) -> None:
    """As most published models are kept, so that the engine computes in bf16 wherever it would for a user."""
    MAKERS[kind](folder)
    path, config = folder / "model.safetensors", folder / "config.json"
    save_file({name: one.bfloat16() for name, one in load_file(path).items()}, path, metadata={"format": "pt"})
    config.write_text(config.read_text().replace('"float32"', '"bfloat16"'))


def job_of(folder: Path, cell: Cell) -> Path:
    return with_options(lay_job(folder, task=cell.task, method=cell.method, kind=cell.kind, **knobs_of_cell(cell)))


def difference_after_a_stop(whole: Attempt, stopped: Attempt, resumed: Attempt) -> float:
    """Of any step's loss, between the job that was stopped and the one that was not."""
    undisturbed, in_two = whole.trace, stopped.trace | resumed.trace
    assert undisturbed.keys() == in_two.keys()
    losses, others = (torch.tensor([trace[at][0] for at in undisturbed]) for trace in (undisturbed, in_two))
    torch.testing.assert_close(others, losses, **CLOSE)
    return float((others - losses).abs().max())


def difference_after_loading(run: Attempt) -> float:
    """Of any held-out row's loss, between what the verdict saw and the saved adapter on a freshly loaded base."""
    job_dir = run.job_dir
    recipe = Recipe.model_validate_json((job_dir / RECIPE).read_text())
    labels = list(Manifest.model_validate_json((run.adapter / MANIFEST).read_text()).labels)
    base_folder, method = job_dir / BASE_MODEL, ENGINE_METHODS[recipe.method]
    place = choose_place(base_folder, recipe.task)
    base = load_base(base_folder, recipe.task, place, labels)
    continued = recipe.model_copy(update={"knobs": knobs_to_continue(recipe.method, recipe.knobs)})
    model = method.build(base, continued, base_folder)
    method.start_from(model, run.adapter)
    method.settle(model, place.dtype)
    rows = read_rows(job_dir, recipe, load_tokenizer(run.adapter, recipe.task)).test
    encoded = [rows[number] for number in range(len(rows))]
    if labels:
        scores = label_log_probabilities(model, encoded)
        losses = torch.tensor([-float(scores[at, row.label]) for at, row in enumerate(encoded)])
    else:
        sums, counts = losses_of(model, encoded)
        losses = torch.from_numpy(sums / counts).float()
    seen = torch.tensor([row.tuned_loss for row in read_held_out(job_dir / HELD_OUT)])
    torch.testing.assert_close(losses, seen, **CLOSE)
    return float((losses - seen).abs().max())
