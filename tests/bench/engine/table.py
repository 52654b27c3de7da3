"""The bench as Markdown: the targets with what was reached, then the medians that the ratios are of."""

from collections.abc import Iterator

from tests.bench.engine.figures import Figures, Medians, Run
from tests.bench.engine.targets import outcomes

UNITS = {
    "tokens_per_second": ("tokens/s", 1.0),
    "step_seconds": ("s a step", 1.0),
    "peak_memory_bytes": ("GB at the peak", 1e-9),
    "held_out_loss": ("held-out loss", 1.0),
    "seconds": ("s", 1.0),
    "first_step_seconds": ("s to the first step", 1.0),
    "seconds_a_token": ("ms a token", 1e3),
    "first": ("ms a token in epoch 1", 1e3),
    "later": ("ms a token later", 1e3),
    "accuracy": ("accuracy", 1.0),
    "loading_seconds": ("s of loading", 1.0),
}
"""Figures worth a column's room: what they are called, and what they are multiplied with."""


def table(medians: Medians, runs: list[Run]) -> Iterator[str]:
    yield "| what | against | target | measured | |"
    yield "|---|---|---|---|---|"
    for one in outcomes(medians):
        measured = "not yet" if one.measured is None else f"{one.measured:.2f}"
        met = {True: "met", False: "missed", None: ""}[one.is_met]
        yield f"| {one.what} | {one.against} | {one.target} | {measured} | {met} |"
    yield ""
    yield "| part | who | runs | medians |"
    yield "|---|---|---|---|"
    for (part, who), figures in medians.items():
        num_runs = sum((run.part, run.who) == (part, who) for run in runs)
        yield f"| {part} | {who} | {num_runs} | {_told(figures)} |"


def _told(figures: Figures) -> str:
    return ", ".join(f"{figures[name] * times:.3g} {word}" for name, (word, times) in UNITS.items() if name in figures)
