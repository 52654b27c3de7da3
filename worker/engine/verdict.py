"""Base against tuned on the same held-out rows: differences, how sure they are, and a plain sentence."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from webapp.contract.tasks import Task
from webapp.contract.verdict import Comparison, Cost, Outcome, Sample, Verdict
from worker.engine.measure import Measured
from worker.engine.metrics import ROW_METRICS, exact_match

Floats = NDArray[np.float64]

RESAMPLES = 2_000
MOST_SAMPLES = 60
LONGEST_SAMPLE_TEXT = 2_000
SHORT_ANSWER_CHARACTERS = 40
"""Where half the expected answers are no longer than this, being exactly right is what counts."""


class HeldOut(NamedTuple):
    """The rows of the verdict."""

    lines: list[int]
    inputs: list[str]
    expected: list[str]


def judge(task: Task, rows: HeldOut, base: Measured, tuned: Measured, *, common_label: str, cost: Cost) -> Verdict:
    """The verdict. `common_label` is the most common label of the training rows, for the task classify."""
    if task == "generate":
        baseline = "The base model as it is, with the same prompts."
        primary_name = _primary_metric(rows.expected)
        names = [primary_name, *(name for name in ROW_METRICS if name != primary_name)]
        scored = [_row_comparison(name, rows, base, tuned) for name in names]
        primary, others = scored[0], scored[1:]
    else:
        baseline, base = _stronger_baseline(rows, base, common_label)
        primary = _accuracy(rows, base, tuned)
        others = [_macro_f1(rows, base, tuned)]
    others.append(_loss(base, tuned, per="word piece" if task == "generate" else "row"))
    outcome = _outcome(primary)
    return Verdict(
        outcome=outcome,
        sentence=_sentence(outcome, primary),
        baseline=baseline,
        primary=primary,
        others=tuple(others),
        samples=_samples(rows, base, tuned, primary.metric),
        cost=cost,
    )


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], Floats], num_rows: int, *, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval (Efron 1979) of a statistic over resampled rows.

    `statistic` maps row numbers (resamples, num_rows) to values (resamples,); base and tuned are drawn together.
    """
    drawn = np.random.default_rng(seed).integers(0, num_rows, size=(RESAMPLES, num_rows))
    low, high = np.percentile(statistic(drawn), [2.5, 97.5])
    return float(low), float(high)


def _row_comparison(name: str, rows: HeldOut, base: Measured, tuned: Measured) -> Comparison:
    label, score = ROW_METRICS[name]
    before = np.array([score(answer, wanted) for answer, wanted in zip(base.answers, rows.expected, strict=True)])
    after = np.array([score(answer, wanted) for answer, wanted in zip(tuned.answers, rows.expected, strict=True)])
    return _mean_comparison(name, label, before, after)


def _accuracy(rows: HeldOut, base: Measured, tuned: Measured) -> Comparison:
    before, after = _right(rows, base.answers), _right(rows, tuned.answers)
    return _mean_comparison("accuracy", "accuracy", before, after)


def _mean_comparison(metric: str, label: str, before: Floats, after: Floats) -> Comparison:
    gain = after - before
    low, high = bootstrap_interval(lambda drawn: gain[drawn].mean(axis=1), len(gain))
    return _comparison(metric, label, before.mean(), after.mean(), low, high, gain)


def _macro_f1(rows: HeldOut, base: Measured, tuned: Measured) -> Comparison:
    """Mean over labels of each label's F1, so that rare labels count as much as common ones."""

    def both(drawn: NDArray[np.int64]) -> Floats:
        gain: Floats = macro_f1(rows.expected, tuned.answers, drawn) - macro_f1(rows.expected, base.answers, drawn)
        return gain

    all_rows = np.arange(len(rows.expected))[None, :]
    before, after = (float(macro_f1(rows.expected, got.answers, all_rows)[0]) for got in (base, tuned))
    low, high = bootstrap_interval(both, len(rows.expected))
    gain = _right(rows, tuned.answers) - _right(rows, base.answers)
    return _comparison("macro_f1", "macro F1", before, after, low, high, gain)


def macro_f1(expected: list[str], answers: list[str], drawn: NDArray[np.int64]) -> Floats:
    """Macro F1 (resamples,) of rows drawn (resamples, rows); labels that do not occur in a draw are left out."""
    wanted, got = np.array(expected)[drawn], np.array(answers)[drawn]
    total, present = np.zeros(len(drawn)), np.zeros(len(drawn))
    for label in set(expected) | set(answers):
        hits = ((wanted == label) & (got == label)).sum(axis=1)
        either = (wanted == label).sum(axis=1) + (got == label).sum(axis=1)
        total += np.where(either > 0, 2 * hits / np.maximum(either, 1), 0)
        present += either > 0
    mean: Floats = total / present
    return mean


def _loss(base: Measured, tuned: Measured, *, per: str) -> Comparison:
    before, after, weight = base.losses, tuned.losses, base.num_labels

    def difference(drawn: NDArray[np.int64]) -> Floats:
        gain: Floats = (after - before)[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
        return gain

    low, high = bootstrap_interval(difference, len(before))
    mean_before, mean_after = before.sum() / weight.sum(), after.sum() / weight.sum()
    comparison = _comparison("loss", f"loss per {per}", mean_before, mean_after, low, high, before - after)
    return comparison.model_copy(update={"higher_is_better": False, "is_percent": False})


def _comparison(
    metric: str, label: str, base: float, tuned: float, low: float, high: float, gain: Floats
) -> Comparison:
    return Comparison(
        metric=metric,
        label=label,
        base=float(base),
        tuned=float(tuned),
        difference=float(tuned - base),
        low=low,
        high=high,
        num_rows=len(gain),
        wins=int((gain > 0).sum()),
        ties=int((gain == 0).sum()),
        losses=int((gain < 0).sum()),
    )


def _primary_metric(expected: list[str]) -> str:
    half = float(np.median([len(text) for text in expected]))
    return "exact_match" if half <= SHORT_ANSWER_CHARACTERS else "chrf"


def _stronger_baseline(rows: HeldOut, untrained: Measured, common_label: str) -> tuple[str, Measured]:
    """An untrained head guesses, so beating it says little; always answering the most common label is the bar."""
    always = untrained._replace(answers=[common_label] * len(rows.expected))
    if _right(rows, untrained.answers).mean() > _right(rows, always.answers).mean():
        return "The base model with a new head that has learnt nothing yet.", untrained
    return f"Always answering “{common_label}”, the most common label; a new head on the base model does worse.", always


def _right(rows: HeldOut, answers: list[str]) -> Floats:
    return np.array([float(answer == wanted) for answer, wanted in zip(answers, rows.expected, strict=True)])


def _outcome(primary: Comparison) -> Outcome:
    if primary.low > 0:
        return "better"
    return "worse" if primary.high < 0 else "no_clear_difference"


def _sentence(outcome: Outcome, primary: Comparison) -> str:
    opening = {
        "better": "Better than the base model",
        "no_clear_difference": "No clear difference to the base model",
        "worse": "Worse than the base model",
    }[outcome]
    base, tuned, difference, low, high = (
        round(100 * share) for share in (primary.base, primary.tuned, primary.difference, primary.low, primary.high)
    )
    return (
        f"{opening}: {primary.label} {base} % → {tuned} % ({difference:+d} points, 95 % interval {low} to {high}) "
        f"on {primary.num_rows} held-out rows."
    )


def _samples(rows: HeldOut, base: Measured, tuned: Measured, metric: str) -> tuple[Sample, ...]:
    score = ROW_METRICS[metric][1] if metric in ROW_METRICS else exact_match
    return tuple(
        Sample(
            line=line,
            input=text[:LONGEST_SAMPLE_TEXT],
            expected=wanted[:LONGEST_SAMPLE_TEXT],
            base=before[:LONGEST_SAMPLE_TEXT],
            tuned=after[:LONGEST_SAMPLE_TEXT],
            base_score=score(before, wanted),
            tuned_score=score(after, wanted),
        )
        for line, text, wanted, before, after in list(
            zip(rows.lines, rows.inputs, rows.expected, base.answers, tuned.answers, strict=True)
        )[:MOST_SAMPLES]
    )
