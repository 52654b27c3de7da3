"""How sure the difference of two jobs on the same rows is: the paired bootstrap, in plain Python.

The engine's own (`worker/engine/bootstrap.py`) draws for many figures at once with numpy, which the web does not have;
a test holds the two against each other.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, quantiles
from typing import NamedTuple, TypeVar

Row = TypeVar("Row")

RESAMPLES = 2_000
MOST_DRAWS = 500_000
"""Rows drawn in all. Of so many rows fewer resamples do as well."""
LEAST_RESAMPLES = 200


def paired_interval(rows: Sequence[Row], figure: Callable[[Sequence[Row]], float]) -> tuple[float, float]:
    """95 % percentile interval of a difference. A row holds what both made of it, so that both are drawn together."""
    dice, num_rows = random.Random(0), len(rows)
    resamples = min(RESAMPLES, max(LEAST_RESAMPLES, MOST_DRAWS // num_rows))
    drawn = quantiles((figure(dice.choices(rows, k=num_rows)) for _ in range(resamples)), n=40, method="inclusive")
    return drawn[0], drawn[-1]


def mean(gains: Sequence[float]) -> float:
    return sum(gains) / len(gains)


class Labelled(NamedTuple):
    """The label of a row, and both answers."""

    wanted: str
    own: str
    other: str


def macro_f1_gain(rows: Sequence[Labelled]) -> float:
    counts = Counter(rows)
    own, other = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row, count in counts.items():
        own[row.wanted, row.own] += count
        other[row.wanted, row.other] += count
    return macro_f1(own) - macro_f1(other)


def macro_f1(counts: Mapping[tuple[str, str], int]) -> float:
    """As the engine counts it: the mean F1 of the labels that occur or are answered; `counts` are of (wanted,
    answered)."""
    either = Counter[str]()
    for (wanted, answered), count in counts.items():
        either[wanted] += count
        either[answered] += count
    return fmean(2 * counts.get((label, label), 0) / count for label, count in either.items())
