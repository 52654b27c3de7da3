"""How sure the difference of two jobs on the same rows is: the paired bootstrap, in plain Python.

The engine's own (`worker/engine/bootstrap.py`) draws for many figures at once with numpy, which the web does not have;
a test holds the two against each other.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, quantiles

RESAMPLES = 2_000
MOST_DRAWS = 500_000
"""Rows drawn in all. Of so many rows fewer resamples do as well."""
LEAST_RESAMPLES = 200


def paired_interval(figure: Callable[[Sequence[int]], float], num_rows: int) -> tuple[float, float]:
    """95 % percentile interval of a difference; `figure` gives it for rows by their numbers, some drawn repeatedly."""
    dice, numbers = random.Random(0), range(num_rows)
    resamples = min(RESAMPLES, max(LEAST_RESAMPLES, MOST_DRAWS // num_rows))
    drawn = quantiles((figure(dice.choices(numbers, k=num_rows)) for _ in range(resamples)), n=40, method="inclusive")
    return drawn[0], drawn[-1]


def mean_of(values: Sequence[float]) -> Callable[[Sequence[int]], float]:
    return lambda rows: fmean(map(values.__getitem__, rows))


def macro_f1(wanted_and_answered: Iterable[tuple[str, str]]) -> float:
    """As the engine counts it: the mean F1 of the labels that occur or are answered."""
    pairs = Counter(wanted_and_answered)
    either: Counter[str] = Counter()
    for (wanted, answered), count in pairs.items():
        either[wanted] += count
        either[answered] += count
    return fmean(2 * pairs[label, label] / count for label, count in either.items())
