"""A job's result in plain words, for somebody who does not know the field: did it help, how sure is that, what to mind.

Every sentence is made of measured figures.
"""

from collections.abc import Iterator
from typing import NamedTuple

from webapp.contract.mistakes import mistakes_sentence
from webapp.contract.verdict import Comparison, LabelScore, Sample, Verdict
from webapp.shown import difference_in, in_metric

FEW_ROWS = 50
WIDE_INTERVAL = 0.2
BAD_RECALL = 0.5
MOST_BAD_LABELS = 3
MOST_LINES = 5
"""Of suspects named by their line."""
COUNTED = ("accuracy", "exact_match")
"""Metrics that are the share of rows answered right."""

_OPENINGS = {"better": "Yes.", "no_clear_difference": "It cannot be told.", "worse": "No."}
_EXAMPLES = {"best": 2, "worst": 1, "random": 1}
"""How many of each are shown."""


class Report(NamedTuple):
    helped: str
    sureness: str
    examples: list[Sample]
    risks: list[str]


def report_of(verdict: Verdict) -> Report:
    return Report(
        helped=f"{_OPENINGS[verdict.outcome]} {_before_and_after(verdict.primary)}",
        sureness=_sureness(verdict.primary),
        examples=list(_examples(verdict)),
        risks=list(_risks(verdict)),
    )


def _before_and_after(primary: Comparison) -> str:
    base, tuned = (in_metric(value, primary) for value in (primary.base, primary.tuned))
    if primary.metric not in COUNTED:
        return f"On {primary.num_rows} rows it had never seen, {primary.label} went from {base} to {tuned}."
    before, after = (round(value * primary.num_rows) for value in (primary.base, primary.tuned))
    return (
        f"Of {primary.num_rows} rows it had never seen, the tuned model answered {after} right ({tuned}), the base "
        f"model {before} ({base})."
    )


def _sureness(primary: Comparison) -> str:
    points, low, high = (difference_in(value, primary) for value in (primary.difference, primary.low, primary.high))
    return (
        f"The difference is {points} points. Had other rows been kept aside to judge it, it would most likely lie "
        f"between {low} and {high} (95 % interval)."
    )


def _examples(verdict: Verdict) -> Iterator[Sample]:
    """Also the worst one, so that nobody is only flattered."""
    for tag, most in _EXAMPLES.items():
        yield from [sample for sample in verdict.samples if sample.tag == tag][:most]


def _risks(verdict: Verdict) -> Iterator[str]:
    yield from _risks_of_the_figure(verdict.primary)
    if verdict.forgetting and verdict.forgetting.light != "green":
        yield verdict.forgetting.sentence
    yield from _risks_of_labels(verdict)
    if verdict.suspects:
        yield _suspects(verdict)
    yield "All rows come from one file: text of another kind may fare worse."


def _risks_of_the_figure(primary: Comparison) -> Iterator[str]:
    if primary.high < 0:
        yield "It does worse than the base model: do not use it as it is."
    elif primary.low <= 0:
        yield "Zero lies inside the interval: it may have helped or not, and only more rows can tell."
    if primary.num_rows < FEW_ROWS:
        yield f"Only {primary.num_rows} rows were kept aside to judge it, so that a few lucky answers weigh much."
    if primary.high - primary.low > WIDE_INTERVAL:
        width = 100 * (primary.high - primary.low)
        yield f"The interval is {width:.0f} points wide: how much it helps is known only roughly."
    if primary.metric in COUNTED and (wrong := primary.num_rows - round(primary.tuned * primary.num_rows)):
        yield f"It is still wrong on {wrong} of {primary.num_rows} rows: check answers that matter."
    if primary.losses:
        was_were = "row was" if primary.losses == 1 else "rows were"
        yield f"{primary.losses} {was_were} answered better before."


def _risks_of_labels(verdict: Verdict) -> Iterator[str]:
    bad = sorted((one for one in verdict.per_label if _is_missed(one)), key=lambda one: one.tuned.recall)
    if bad:
        told = ", ".join(
            f"“{one.label}” (found {round(one.tuned.recall * one.support)} of {one.support})"
            for one in bad[:MOST_BAD_LABELS]
        )
        more = f" and {len(bad) - MOST_BAD_LABELS} more" if len(bad) > MOST_BAD_LABELS else ""
        yield f"It misses more than half the rows of {told}{more}."
    if verdict.confusion:
        yield mistakes_sentence(verdict.confusion)


def _is_missed(score: LabelScore) -> bool:
    return score.support > 0 and score.tuned.recall < BAD_RECALL


def _suspects(verdict: Verdict) -> str:
    lines = [str(one.line) for one in verdict.suspects[:MOST_LINES]]
    rest = len(verdict.suspects) - len(lines)
    odd = "row looks odd and may be wrong" if len(verdict.suspects) == 1 else "rows look odd and may be wrong"
    more = f" and {rest} more" if rest else ""
    return f"{len(verdict.suspects)} training {odd}: line {', '.join(lines)}{more}."
