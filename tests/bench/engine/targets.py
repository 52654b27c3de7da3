"""What the engine shall reach, and whether it does by the medians of what was measured."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.bench.engine.figures import Figures, Medians


class Target(NamedTuple):
    """`ratio` gives the figure that is held against `limit`; KeyError where something was not measured yet."""

    what: str
    against: str
    limit: float
    ratio: Callable[[Medians], float]
    is_at_least: bool = True


class Outcome(NamedTuple):
    what: str
    against: str
    target: str
    measured: float | None
    is_met: bool | None
    figures: str
    """What the ratio is of."""


def over(part: str, figure: str, who: str, other: str) -> Callable[[Medians], float]:
    """The figure of the one by that of the other."""
    return lambda medians: medians[part, who][figure] / medians[part, other][figure]


def apart(part: str, figure: str, who: str, other: str) -> Callable[[Medians], float]:
    """How much more the one's figure is, as a share of the other's."""
    return lambda medians: medians[part, who][figure] / medians[part, other][figure] - 1


BEST, AS_IT_COMES = "best peer", "peer as it comes"
SPEED, MEMORY, LOSS = "tokens_per_second", "peak_memory_bytes", "held_out_loss"
TRAINER = "Trainer + peft at its best"

TARGETS = (
    Target("tokens/s, prompt-heavy", TRAINER, 4.0, over("prompt-heavy", SPEED, "ours", BEST)),
    Target("tokens/s, short even rows", TRAINER, 2.0, over("short", SPEED, "ours", BEST)),
    Target("tokens/s, prompt-heavy", "as it comes", 6.0, over("prompt-heavy", SPEED, "ours", AS_IT_COMES)),
    Target("peak memory", TRAINER, 0.5, over("prompt-heavy", MEMORY, "ours", BEST), is_at_least=False),
    Target("held-out loss, prompt-heavy", TRAINER, 0.01, apart("prompt-heavy", LOSS, "ours", BEST), is_at_least=False),
    Target("held-out loss, short", TRAINER, 0.01, apart("short", LOSS, "ours", BEST), is_at_least=False),
)


def verdicts(medians: Medians) -> list[Outcome]:
    return [_outcome(target, medians) for target in TARGETS]


def table(medians: Medians) -> Iterator[str]:
    yield "| what | against | target | measured | |"
    yield "|---|---|---|---|---|"
    for one in verdicts(medians):
        if one.measured is not None:
            met = "met" if one.is_met else "missed"
            yield f"| {one.what} | {one.against} | {one.target} | {one.measured:.2f} | {met} |"
    yield ""
    yield from _figures(medians)


def _outcome(target: Target, medians: Medians) -> Outcome:
    sign = "≥" if target.is_at_least else "≤"
    told = f"{sign} {target.limit:g}"
    try:
        measured = target.ratio(medians)
    except KeyError:
        return Outcome(target.what, target.against, told, None, None, "")
    is_met = measured >= target.limit if target.is_at_least else measured <= target.limit
    return Outcome(target.what, target.against, told, measured, is_met, "")


def _figures(medians: Medians) -> Iterator[str]:
    """What the ratios are of."""
    yield "| part | who | figures |"
    yield "|---|---|---|"
    for (part, who), figures in medians.items():
        yield f"| {part} | {who} | {_told(figures)} |"


def _told(figures: Figures) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())
