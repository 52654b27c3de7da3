"""How sure a figure is: the paired bootstrap (Efron 1979) over rows, for any figure that weighs its rows."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2_000


def interval(figure: Callable[[Floats], Floats], num_rows: int, *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a figure over resampled rows.

    `figure` maps weights (resamples, rows), how often each row was drawn, to values (resamples,). Where it is a
    difference, base and tuned are drawn together, as they must be.
    """
    low, high = np.percentile(figure(draws(num_rows, seed)), [2.5, 97.5])
    return float(low), float(high)


@lru_cache(maxsize=2)
def draws(num_rows: int, seed: int) -> Floats:
    """Weights (resamples, rows). Counts instead of row numbers: a sum over every resample is one matrix product."""
    drawn = np.random.default_rng(seed).integers(0, num_rows, size=(RESAMPLES, num_rows))
    cells = drawn + num_rows * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(cells.ravel(), minlength=RESAMPLES * num_rows)
    return counts.reshape(RESAMPLES, num_rows).astype(np.float64)


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Of values (rows,), once for each row of weights (resamples, rows)."""
    mean: Floats = weights @ values / weights.sum(axis=1)
    return mean
