"""The presets' table in Markdown, and what it must show."""

from collections.abc import Iterator
from statistics import mean

from tests.bench.results import PresetRun
from tests.bench.rows import BENCH_ROWS
from webapp.contract.methods import METHODS

POINTS_BEHIND_FULL = {"lora": 2, "bottleneck": 2, "prefix_tuning": 10, "prompt_tuning": 10}
"""Percentage points that a method may give away against full fine-tuning, on the mean of its seeds."""


def table(runs: list[PresetRun]) -> Iterator[str]:
    """One line a dataset and method: means over the seeds, and the interval of the seed that shows least."""
    yield "| rows | method | base | tuned | difference (95 %) | trained | MB | minutes | epochs |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in BENCH_ROWS:
        for method in METHODS:
            if these := newest(runs, name, method):
                yield _line(name, method, these)


def checks(runs: list[PresetRun]) -> Iterator[str]:
    """What fell short, and what was not measured, in sentences."""
    for name in BENCH_ROWS:
        measured = {method: newest(runs, name, method) for method in METHODS}
        for method, these in measured.items():
            yield from (
                f"{why}: {METHODS[method].label} on {name}." for why in short_of(method, these, measured["full"])
            )
        if missing := [METHODS[method].label for method, these in measured.items() if not these]:
            yield f"Not measured on {name}: {', '.join(missing)}."


def short_of(method: str, runs: list[PresetRun], full: list[PresetRun]) -> Iterator[str]:
    """What these runs of one method on one set of rows fell short of, beside those of full fine-tuning."""
    if weak := [run.seed for run in runs if run.low <= 0]:
        yield f"Not clearly better than the base with seeds {weak}"
    behind = 100 * (_mean(full, "tuned") - _mean(runs, "tuned")) if full and runs else 0.0
    if behind > POINTS_BEHIND_FULL.get(method, 100):
        yield f"{behind:.1f} points behind full fine-tuning"


def newest(runs: list[PresetRun], rows: str, method: str) -> list[PresetRun]:
    """The last run of each seed."""
    return list({run.seed: run for run in runs if run.rows == rows and run.method == method}.values())


def _line(name: str, method: str, runs: list[PresetRun]) -> str:
    least = min(runs, key=lambda run: run.low)
    share = least.trainable_params / least.total_params
    cells = (
        name,
        METHODS[method].label,
        f"{_mean(runs, 'base'):.0%}",
        f"{_mean(runs, 'tuned'):.1%}",
        f"{100 * _mean(runs, 'difference'):+.0f} ({100 * least.low:+.0f} to {100 * least.high:+.0f})",
        f"{share:.3%}",
        f"{least.adapter_bytes / 1e6:.2f}",
        f"{_mean(runs, 'total_seconds') / 60:.1f}",
        f"{_mean(runs, 'epochs'):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _mean(runs: list[PresetRun], field: str) -> float:
    return mean(getattr(run, field) for run in runs)
