"""What the engine shall reach, and whether it does by the medians of what was measured."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.bench.engine.figures import Medians

Figure = Callable[[Medians], float]
"""KeyError where something that it is of was not measured yet."""


class Target(NamedTuple):
    what: str
    against: str
    limit: float
    is_at_least: bool
    figure: Figure


class Outcome(NamedTuple):
    what: str
    against: str
    target: str
    measured: float | None
    """None: not measured yet."""
    is_met: bool | None


def at_least(limit: float, what: str, against: str, figure: Figure) -> Target:
    return Target(what, against, limit, True, figure)


def at_most(limit: float, what: str, against: str, figure: Figure) -> Target:
    return Target(what, against, limit, False, figure)


def alone(part: str, figure: str, who: str) -> Figure:
    return lambda medians: medians[part, who][figure]


def ratio(part: str, figure: str, one: str, other: str) -> Figure:
    """The figure of the one by that of the other."""
    return lambda medians: medians[part, one][figure] / medians[part, other][figure]


def within(part: str, who: str, one: str, other: str) -> Figure:
    """One figure of somebody by another of theirs."""
    return lambda medians: medians[part, who][one] / medians[part, who][other]


def more(part: str, figure: str, one: str, other: str) -> Figure:
    """By how much the one's figure is larger, as a share of the other's."""
    return lambda medians: ratio(part, figure, one, other)(medians) - 1


def unlike(part: str, figure: str, who: Sequence[str]) -> Figure:
    """How far the figure is from the first one's where it is farthest, as a share of it."""
    return lambda medians: max(abs(more(part, figure, one, who[0])(medians)) for one in who[1:])


BEST, AS_IT_COMES, OURS = "best peer", "peer as it comes", "ours"
SPEED, MEMORY, LOSS, SECONDS = "tokens_per_second", "peak_memory_bytes", "held_out_loss", "seconds"
A_TOKEN, FIRST = "seconds_a_token", "first_step_seconds"
TRAINER = "Trainer + peft at its best"
LONG, SHORT = "prompt-heavy", "short"
MANY, LENGTHS = ("1000", "10000", "100000"), ("64", "128", "256", "512", "1024")

TARGETS = (
    at_least(4, "tokens/s, prompt-heavy rows", TRAINER, ratio(LONG, SPEED, OURS, BEST)),
    at_least(2, "tokens/s, short even rows", TRAINER, ratio(SHORT, SPEED, OURS, BEST)),
    at_least(6, "tokens/s, prompt-heavy rows", "as it comes (fp32)", ratio(LONG, SPEED, OURS, AS_IT_COMES)),
    at_least(0.33, "share of the floor, prompt-heavy rows", "physics", ratio(LONG, SPEED, OURS, "floor")),
    at_most(0.5, "peak memory, prompt-heavy rows", TRAINER, ratio(LONG, MEMORY, OURS, BEST)),
    at_most(0.01, "held-out loss above, prompt-heavy rows", TRAINER, more(LONG, LOSS, OURS, BEST)),
    at_most(0.01, "held-out loss above, short even rows", TRAINER, more(SHORT, LOSS, OURS, BEST)),
    at_most(0.35, "layer freezing, epochs 2 and on", "own epoch 1", within("freezing", OURS, "later", "first")),
    at_least(2, "tokens/s, prompt tuning", TRAINER, ratio("prompt_tuning", SPEED, OURS, BEST)),
    at_least(2, "tokens/s, prefix tuning", TRAINER, ratio("prefix_tuning", SPEED, OURS, BEST)),
    at_least(2, "tokens/s, IA3", TRAINER, ratio("ia3", SPEED, OURS, BEST)),
    at_least(2, "tokens/s, bottleneck adapters", "own plain loop", ratio("bottleneck", SPEED, OURS, "loop")),
    at_least(1.5, "tokens/s, full fine-tuning", "own plain loop", ratio("full", SPEED, OURS, "loop")),
    at_most(2, "seconds from submit to the first step, warm worker", "-", alone("first step", FIRST, OURS)),
    at_most(0.15, "the same", "cold start of a Trainer script", ratio("first step", FIRST, OURS, BEST)),
    at_most(0.4, "MiniLM, 2,000 rows, whole job", "Trainer script", ratio("classification", SECONDS, OURS, BEST)),
    at_most(0.25, "100 answers, base and tuned", "one by one", ratio("evaluation", SECONDS, OURS, "one by one")),
    at_most(0.1, "time a token, 1k → 100k rows, off by", "1k rows", unlike("rows", A_TOKEN, MANY)),
    at_most(0.1, "memory, 1k → 100k rows, off by", "1k rows", unlike("rows", MEMORY, MANY)),
    at_most(0.1, "time a token, length 64 → 1024, off by", "length 64", unlike("length", A_TOKEN, LENGTHS)),
)


def outcomes(medians: Medians) -> list[Outcome]:
    return [_outcome(target, medians) for target in TARGETS]


def _outcome(target: Target, medians: Medians) -> Outcome:
    told = f"{'≥' if target.is_at_least else '≤'} {target.limit:g}"
    try:
        measured = target.figure(medians)
    except KeyError:
        return Outcome(target.what, target.against, told, None, None)
    is_met = measured >= target.limit if target.is_at_least else measured <= target.limit
    return Outcome(target.what, target.against, told, measured, is_met)
