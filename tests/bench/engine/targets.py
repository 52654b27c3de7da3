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
    figure: Figure
    is_at_least: bool = True


class Outcome(NamedTuple):
    what: str
    against: str
    target: str
    measured: float | None
    """None: not measured yet."""
    is_met: bool | None


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
A_TOKEN = "seconds_a_token"
TRAINER = "Trainer + peft at its best"
LONG, SHORT = "prompt-heavy", "short"
MANY, LENGTHS = ("1000", "10000", "100000"), ("64", "128", "256", "512", "1024")

TARGETS = (
    Target("tokens/s, prompt-heavy rows", TRAINER, 4, ratio(LONG, SPEED, OURS, BEST)),
    Target("tokens/s, short even rows", TRAINER, 2, ratio(SHORT, SPEED, OURS, BEST)),
    Target("tokens/s, prompt-heavy rows", "as it comes (fp32)", 6, ratio(LONG, SPEED, OURS, AS_IT_COMES)),
    Target("share of the floor, prompt-heavy rows", "physics", 0.33, ratio(LONG, SPEED, OURS, "floor")),
    Target("peak memory, prompt-heavy rows", TRAINER, 0.5, ratio(LONG, MEMORY, OURS, BEST), False),
    Target("held-out loss above, prompt-heavy rows", TRAINER, 0.01, more(LONG, LOSS, OURS, BEST), False),
    Target("held-out loss above, short even rows", TRAINER, 0.01, more(SHORT, LOSS, OURS, BEST), False),
    Target("layer freezing, epochs 2 and on", "own epoch 1", 0.35, within("freezing", OURS, "later", "first"), False),
    Target("tokens/s, prompt tuning", TRAINER, 2, ratio("prompt_tuning", SPEED, OURS, BEST)),
    Target("tokens/s, prefix tuning", TRAINER, 2, ratio("prefix_tuning", SPEED, OURS, BEST)),
    Target("tokens/s, IA3", TRAINER, 2, ratio("ia3", SPEED, OURS, BEST)),
    Target("tokens/s, bottleneck adapters", "own plain loop", 2, ratio("bottleneck", SPEED, OURS, "loop")),
    Target("tokens/s, full fine-tuning", "own plain loop", 1.5, ratio("full", SPEED, OURS, "loop")),
    Target("MiniLM, 2,000 rows, whole job", "Trainer script", 0.4, ratio("classification", SECONDS, OURS, BEST), False),
    Target("100 answers, base and tuned", "one by one", 0.25, ratio("evaluation", SECONDS, OURS, "one by one"), False),
    Target("time a token, 1k → 100k rows", "1k rows", 0.1, unlike("rows", A_TOKEN, MANY), False),
    Target("memory, 1k → 100k rows", "1k rows", 0.1, unlike("rows", MEMORY, MANY), False),
    Target("time a token, length 64 → 1024", "length 64", 0.1, unlike("length", A_TOKEN, LENGTHS), False),
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
