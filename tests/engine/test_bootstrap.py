"""Intervals: known cases, and that they hold what they promise."""

import numpy as np
import pytest

from worker.engine.bootstrap import RESAMPLES, draws, interval, weighted_mean


def mean_interval(gain: list[float], seed: int = 0) -> tuple[float, float]:
    values = np.array(gain)
    return interval(lambda weights: weighted_mean(values, weights), len(values), seed=seed)


def test_where_all_rows_gain_alike_nothing_is_unsure() -> None:
    assert mean_interval([0.5] * 8) == (0.5, 0.5)
    assert mean_interval([1.0]) == (1.0, 1.0)


def test_the_interval_of_a_known_case() -> None:
    """Of 100 rows 30 gain 1: the binomial says 0.30 ± 1.96 * sqrt(0.3 * 0.7 / 100) = 0.21 to 0.39."""
    low, high = mean_interval([1.0] * 30 + [0.0] * 70)
    assert low == pytest.approx(0.21, abs=0.015)
    assert high == pytest.approx(0.39, abs=0.015)


def test_the_same_seed_gives_the_same_interval() -> None:
    gain = [0.1, 0.9, -0.3, 0.4, 0.0, 0.25, 0.7]
    assert mean_interval(gain, seed=3) == mean_interval(gain, seed=3)
    assert mean_interval(gain, seed=3) != mean_interval(gain, seed=4)


def test_every_draw_is_of_as_many_rows_as_there_are() -> None:
    weights = draws(7, seed=1)
    assert weights.shape == (RESAMPLES, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    """Skewed gains whose mean is 1, 60 rows each time; the percentile interval is known to be a little short then."""
    samples = np.random.default_rng(5).exponential(1.0, size=(300, 60))
    intervals = [mean_interval(list(sample)) for sample in samples]
    held = np.mean([low <= 1.0 <= high for low, high in intervals])
    assert 0.89 <= held <= 0.98
