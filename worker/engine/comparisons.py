"""One figure, base against tuned, on the same rows: how a `Comparison` is come by."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from webapp.contract.verdict import Comparison
from worker.engine.bootstrap import Floats, interval, weighted_mean

Rows = TypeVar("Rows")

LARGEST_EXPONENT = 50.0
"""exp of it is far beyond any perplexity worth telling, and still a number that JSON can hold."""


def compare(
    metric: str,
    label: str,
    base: Rows,
    tuned: Rows,
    figure: Callable[[Rows, Floats], Floats],
    *,
    gain: NDArray[Any],
    **more: bool,
) -> Comparison:
    """`figure` gives its value for each row of weights (resamples, rows); `gain` is each row's own, for the count of
    wins and losses."""
    once = np.ones((1, len(gain)))
    before, after = float(figure(base, once)[0]), float(figure(tuned, once)[0])
    low, high = interval(lambda weights: figure(tuned, weights) - figure(base, weights), len(gain))
    return Comparison(
        metric=metric,
        label=label,
        base=before,
        tuned=after,
        difference=after - before,
        low=low,
        high=high,
        num_rows=len(gain),
        wins=int((gain > 0).sum()),
        ties=int((gain == 0).sum()),
        losses=int((gain < 0).sum()),
        **more,
    )


def compare_means(metric: str, label: str, before: Floats, after: Floats) -> Comparison:
    return compare(metric, label, before, after, weighted_mean, gain=after - before)


def compare_losses(before: Floats, after: Floats, num_labels: NDArray[np.int64], *, per: str) -> Comparison:
    """Of losses summed over each row's labels: the mean over all labels."""
    mean = _mean_loss(num_labels)
    gain = before - after
    return compare("loss", f"loss per {per}", before, after, mean, gain=gain, higher_is_better=False, is_percent=False)


def compare_perplexity(before: Floats, after: Floats, num_labels: NDArray[np.int64]) -> Comparison:
    mean = _mean_loss(num_labels)

    def perplexity(losses: Floats, weights: Floats) -> Floats:
        found: Floats = np.exp(np.minimum(mean(losses, weights), LARGEST_EXPONENT))
        return found

    return compare(
        "perplexity", "perplexity", before, after, perplexity, gain=before - after, higher_is_better=False,
        is_percent=False,
    )  # fmt: skip


def _mean_loss(num_labels: NDArray[np.int64]) -> Callable[[Floats, Floats], Floats]:
    def mean(losses: Floats, weights: Floats) -> Floats:
        found: Floats = (weights @ losses) / (weights @ num_labels)
        return found

    return mean
