"""Every method with Auto on real rows: `python -m tests.bench presets`. Takes hours; goes on where it was stopped.

One line of JSON a run in `results/presets.jsonl`; a run with the same knobs is not done twice. `--only lora,dates`
takes these methods or rows alone, `--seeds 17` these seeds; `--set learning_rate=1e-3` changes knobs (a search: give
`--into FILE` as well), `--table` only prints what is there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.presets_table import checks, table
from tests.bench.results import RESULTS, PresetRun, add_run, key_of, read_runs
from tests.bench.rows import BENCH_ROWS, BenchRows
from tests.engine.runs import events_of, run_engine
from tests.stack import PROJECT
from tests.tiny import lay_job_dir_of
from webapp.contract.base_models import STARTERS
from webapp.contract.capabilities import impossible
from webapp.contract.events import Evaluated, Stepped
from webapp.contract.job_dir import VERDICT
from webapp.contract.methods import METHODS, KnobValue
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from webapp.contract.split import split_sizes
from webapp.contract.verdict import Verdict

BASE_MODELS = PROJECT / "var" / "bench" / "base_models"


class Cell(NamedTuple):
    rows_name: str
    rows: BenchRows
    method: str
    seed: int


def presets(words: Sequence[str]) -> Iterator[str]:
    arguments = _arguments(words)
    if not arguments.table:
        yield from _measure(_cells(arguments.only, arguments.seeds), arguments.set, arguments.into)
    runs = read_runs(arguments.into)
    yield from table(runs)
    yield from checks(runs)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench presets", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--set", type=_knob, action="append", default=[], metavar="KNOB=VALUE")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[])
    parser.add_argument("--into", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true")
    return parser.parse_args(words)


def _knob(text: str) -> tuple[str, KnobValue]:
    name, _equals, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _measure(cells: Iterator[Cell], changes: list[tuple[str, KnobValue]], path: Path) -> Iterator[str]:
    for cell in cells:
        rows = cell.rows.read()
        auto = auto_knobs(
            cell.method, cell.rows.task, STARTERS[cell.rows.base_model].shape, split_sizes(len(rows)).train
        )
        knobs = {**auto, **dict(changes)}
        if key_of(cell.rows_name, cell.method, cell.seed, knobs) in {run.key for run in read_runs(path)}:
            continue
        try:
            run = _run(cell, rows, knobs)
        except RuntimeError as error:
            yield f"{cell.rows_name}, {cell.method}: {error}"
            continue
        add_run(path, run)
        yield (
            f"{run.rows}, {run.method}, seed {run.seed}: {run.base:.1%} -> {run.tuned:.1%} "
            f"[{run.low:+.1%}, {run.high:+.1%}], {run.epochs:.1f} epochs, best {run.best_epoch:.1f}, "
            f"{run.total_seconds:.0f} s, forgetting {run.forgetting}"
        )


def _cells(only: list[str], seeds: list[int]) -> Iterator[Cell]:
    methods = [name for name in METHODS if name in only] or list(METHODS)
    names = [name for name in BENCH_ROWS if name in only] or list(BENCH_ROWS)
    for name in names:
        rows = BENCH_ROWS[name]
        family = STARTERS[rows.base_model].shape.family
        for method in methods:
            if impossible(method, family, rows.task) is None:
                yield from (Cell(name, rows, method, seed) for seed in rows.seeds if seed in (seeds or rows.seeds))


def _run(cell: Cell, rows: list[dict[str, object]], knobs: dict[str, KnobValue]) -> PresetRun:
    """The engine, as a worker runs it. Raises RuntimeError with its last words if it fails."""
    recipe = Recipe(
        task=cell.rows.task, base_model=cell.rows.base_model, method=cell.method, knobs=knobs, seed=cell.seed
    )
    with tempfile.TemporaryDirectory(prefix="gw-presets-") as scratch:
        job_dir = lay_job_dir_of(Path(scratch) / "job", recipe, rows, base_model_folder(cell.rows.base_model))
        process = run_engine(job_dir)
        if process.returncode != 0:
            raise RuntimeError(f"the engine ended with {process.returncode}: {process.stderr[-500:]}")
        return _what_came(cell, knobs, job_dir)


def _what_came(cell: Cell, knobs: dict[str, KnobValue], job_dir: Path) -> PresetRun:
    verdict = Verdict.model_validate_json((job_dir / VERDICT).read_text())
    events = events_of(job_dir)
    best = [event.epoch for event in events if isinstance(event, Evaluated) and event.is_best]
    primary, cost = verdict.primary, verdict.cost
    return PresetRun(
        rows=cell.rows_name,
        method=cell.method,
        seed=cell.seed,
        knobs=knobs,
        metric=primary.metric,
        base=primary.base,
        tuned=primary.tuned,
        difference=primary.difference,
        low=primary.low,
        high=primary.high,
        num_held_out=primary.num_rows,
        trainable_params=cost.trainable_params,
        total_params=cost.total_params,
        adapter_bytes=cost.adapter_bytes,
        train_seconds=cost.train_seconds,
        total_seconds=cost.total_seconds,
        epochs=max(event.epoch for event in events if isinstance(event, Stepped)),
        best_epoch=best[-1] if best else 0.0,
        forgetting=verdict.forgetting and verdict.forgetting.light,
        machine=f"{platform.machine()}, {os.cpu_count()} cores, 1 thread a run",
    )


def base_model_folder(model_id: str) -> Path:
    """The starter's folder, made by the product's own way where it is not there yet."""
    folder = BASE_MODELS / model_id
    if not folder.exists():
        BASE_MODELS.mkdir(parents=True, exist_ok=True)
        events = BASE_MODELS / f"{model_id}.events.jsonl"
        words = ["-m", "worker.base_models", model_id, str(folder), "--events", str(events)]
        subprocess.run([sys.executable, *words], cwd=PROJECT, check=True, capture_output=True)
    return folder
