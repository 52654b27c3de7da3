"""The same training by us and by a peer: the same token ids, method, effective batch, learning rate and seed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.engine import ours
from tests.bench.engine.figures import Figures, step_figures
from tests.bench.engine.held_out import held_out_loss
from tests.bench.engine.turn import Turn, environment
from tests.bench.presets import base_model_folder
from tests.bench.rows import Row
from webapp.contract.job_dir import ADAPTER
from webapp.contract.methods import KnobValue
from webapp.contract.recipe import Recipe
from worker.engine.encode import row_encoder
from worker.engine.tokenizer import load_tokenizer

PEER = Path(__file__).parent / "peer"
NUM_WATCHED_AND_JUDGED = 18
"""Rows of our job that are not trained on: what a job must have, and little more."""
NUM_HELD_OUT = 48
"""Rows that neither side has seen, by which both are measured."""


class Config(NamedTuple):
    """How a Trainer may be set up. Attention and grouping change its speed alone, the precision nearly so."""

    precision: str
    attention: str = "sdpa"
    groups_by_length: bool = True

    @property
    def name(self) -> str:
        return f"{self.precision} {self.attention}" + ("" if self.groups_by_length else " random")


class Race(NamedTuple):
    """What both train. `script`: the peer's; `is_judged`: whether the loss that is reached is compared as well."""

    rows: Callable[[int], list[Row]]
    method: str
    knobs: dict[str, KnobValue]
    num_steps: int
    script: str = "train.py"
    is_judged: bool = True

    @property
    def num_train(self) -> int:
        return self.num_steps * self.batch_size

    @property
    def batch_size(self) -> int:
        return int(self.knobs.get("batch_size", 8))

    def recipe(self, seed: int) -> Recipe:
        return ours.recipe_of(self.method, self.knobs, seed=seed)


def run_ours(race: Race, turn: Turn) -> Figures:
    recipe = race.recipe(turn.seed)
    rows = race.rows(race.num_train + NUM_WATCHED_AND_JUDGED)
    job_dir = ours.lay(turn.folder / "job", recipe, rows, num_train=race.num_train)
    figures = ours.training_figures(job_dir, ours.run(job_dir))
    return figures | _held_out(race, recipe, turn.folder, job_dir / ADAPTER)


def run_peer(race: Race, config: Config, turn: Turn, *, max_steps: int = 0) -> Figures:
    """`max_steps`: fewer than all, where the speed alone is asked for."""
    recipe = race.recipe(turn.seed)
    encode_rows(recipe, race.rows(race.num_train), turn.folder / "rows.jsonl")
    spec = peer_spec(recipe, config, turn) | {"max_steps": max_steps or -1}
    began = time.time()
    told = run_script(race.script, spec, turn.folder)
    figures = step_figures([told["began"], *told["step_ends"][:-1]], told["step_ends"], told["step_tokens"])
    figures |= {"peak_memory_bytes": told["peak_memory_bytes"], "first_step_seconds": told["step_ends"][0] - began}
    if max_steps:
        return figures
    return figures | _held_out(race, recipe, turn.folder, turn.folder / "adapter")


def peer_spec(recipe: Recipe, config: Config, turn: Turn) -> dict[str, Any]:
    return {
        **recipe.knobs,
        "base_model": str(base_model_folder(recipe.base_model)),
        "method": recipe.method,
        "rows": str(turn.folder / "rows.jsonl"),
        "folder": str(turn.folder),
        "seed": turn.seed,
        **config._asdict(),
    }


def run_script(script: str, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A peer's script, by itself; what it wrote down. Raises RuntimeError with its last words if it fails."""
    (folder / "spec.json").write_text(json.dumps(spec))
    words = [sys.executable, str(PEER / script), str(folder / "spec.json")]
    process = subprocess.run(words, env=environment(), capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"{script} ended with {process.returncode}: {process.stderr[-800:]}")
    told: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return told


def encode_rows(recipe: Recipe, rows: list[Row], path: Path) -> None:
    """As token ids with labels, exactly as the engine encodes them."""
    tokenizer = load_tokenizer(base_model_folder(recipe.base_model), recipe.task)
    encode = row_encoder(recipe.task, recipe.whole("max_length"), tokenizer, [])
    with path.open("w") as file:
        for number, row in enumerate(rows):
            encoded = encode({**row, "line": number})
            labels = [token if is_trained else -100 for token, is_trained in zip(*encoded[:2], strict=True)]
            file.write(json.dumps({"input_ids": encoded.ids, "labels": labels}) + "\n")


def _held_out(race: Race, recipe: Recipe, folder: Path, adapter: Path) -> Figures:
    if not race.is_judged:
        return {}
    seen = race.num_train + NUM_WATCHED_AND_JUDGED
    encode_rows(recipe, race.rows(seen + NUM_HELD_OUT)[seen:], folder / "held_out.jsonl")
    return {"held_out_loss": held_out_loss(base_model_folder(recipe.base_model), adapter, folder / "held_out.jsonl")}
