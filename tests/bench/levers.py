"""What each lever of the engine buys: steps with all of them, and with one taken away, in turns.

`python -m tests.bench levers [--repeats 5] [--threads 1] [--without "the norm's own step"]`: on one thread by the
process's own time, which other work on the machine disturbs least; on more by the clock, with nothing beside. Steps on
SmolLM2 of LoRA, without dropout and with, and of layer freezing's later epochs, which begin at what its trunk
remembers; that trunk itself, and what trains whole jobs, is in `engine`. Steps on MiniLM of LoRA.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from tests.bench.engine.rows import even, labelled, ragged
from tests.bench.presets import base_model_folder
from tests.bench.rows import MINILM, SMOLLM2
from tests.bench.switches import SWITCHES, Switch, all_of_them
from webapp.contract.base_models import STARTERS
from webapp.contract.methods import KnobValue
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.tasks import Task
from worker.engine.batches import MICRO_BATCH_TOKENS, epoch_steps
from worker.engine.encode import Encoded, row_encoder
from worker.engine.forward import Model, unwrapped
from worker.engine.levers.frozen_trunk import remember_trunk
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import choose_place, load_base
from worker.engine.step import step_loss
from worker.engine.tokenizer import load_tokenizer

Clock = Callable[[], float]
NUM_ROWS, NUM_STEPS = 128, 4
FEW_TOKENS = 20
"""Steps on rows shorter than these are so quick that all of an epoch are taken."""
NOTHING = "nothing"

LORA: dict[str, KnobValue] = {"rank": 16, "alpha": 32}


class Kind(NamedTuple):
    """What is trained; `changes`: what is not as Auto has it."""

    method: str
    changes: dict[str, KnobValue]
    base_model: str = SMOLLM2

    @property
    def task(self) -> Task:
        return "classify" if self.base_model == MINILM else "generate"


KINDS = {
    "LoRA": Kind("lora", LORA),
    "LoRA with dropout": Kind("lora", {**LORA, "dropout": 0.05}),
    "LoRA, MiniLM": Kind("lora", {}, MINILM),
    "layer freezing": Kind("freezing", {"num_blocks": 4}),
}


def levers(words: Sequence[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench levers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    names = sorted({name for switches in SWITCHES.values() for name in switches})
    parser.add_argument("--without", action="append", choices=names, help="this lever alone; may be said again")
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    clock = time.process_time if asked.threads == 1 else time.perf_counter
    yield "| training | rows | without | ms a token | against all levers |"
    yield "|---|---|---|---|---|"
    for kind, switches in SWITCHES.items():
        chosen = {one: how for one, how in switches.items() if one in asked.without} if asked.without else switches
        if not chosen:
            continue
        model = _model(KINDS[kind])
        for name, rows in _rows(KINDS[kind]).items():
            with TemporaryDirectory(prefix="gw-") as folder:
                remember_trunk(unwrapped(model), Path(folder), sum(row.length for row in rows))
                for line in _compared(model, rows, {NOTHING: all_of_them, **chosen}, asked.repeats, clock):
                    yield f"| {kind} | {name} | {line} |"


def _model(kind: Kind) -> Model:
    folder = base_model_folder(kind.base_model)
    knobs = auto_knobs(kind.method, kind.task, STARTERS[kind.base_model].shape, NUM_ROWS) | kind.changes
    recipe = Recipe(task=kind.task, base_model=kind.base_model, method=kind.method, knobs=knobs)
    base = load_base(folder, kind.task, choose_place(folder, kind.task), _labels(kind))
    return ENGINE_METHODS[kind.method].build(base, recipe, folder)


def _labels(kind: Kind) -> list[str]:
    return sorted({str(row["output"]) for row in labelled(NUM_ROWS)}) if kind.task == "classify" else []


def _rows(kind: Kind) -> dict[str, list[Encoded]]:
    tokenizer = load_tokenizer(base_model_folder(kind.base_model), kind.task)
    encode = row_encoder(kind.task, 700, tokenizer, _labels(kind))
    if kind.task == "classify":
        return {"labelled": [encode(row) for row in labelled(NUM_ROWS)]}
    return {
        "prompt-heavy": [encode(row) for row in ragged(NUM_ROWS)],
        "short": [encode(row) for row in even(NUM_ROWS)],
    }


def _compared(
    model: Model, rows: list[Encoded], switches: dict[str, Switch], repeats: int, clock: Clock
) -> Iterator[str]:
    steps = epoch_steps([row.length for row in rows], 8, seed=17, epoch=0)
    steps = steps[: None if len(rows) * FEW_TOKENS > sum(row.length for row in rows) else NUM_STEPS]
    taken: dict[str, list[float]] = {switch: [] for switch in switches}
    for _ in range(repeats + 1):
        for switch, switched in switches.items():
            with switched(model):
                taken[switch].append(_milliseconds_a_token(model, rows, steps, clock))
    figures = {switch: median(times[1:]) for switch, times in taken.items()}  # the first of each only warms up
    for switch, figure in figures.items():
        yield f"{switch} | {figure:.2f} | {figure / figures[NOTHING]:.2f}"


def _milliseconds_a_token(model: Model, rows: list[Encoded], steps: list[list[int]], clock: Clock) -> float:
    began = clock()
    for step in steps:
        step_loss(model, [rows[at] for at in step], MICRO_BATCH_TOKENS)
        model.zero_grad(set_to_none=True)
    return 1e3 * (clock() - began) / sum(rows[at].length for step in steps for at in step)
