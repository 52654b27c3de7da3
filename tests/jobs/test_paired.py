"""The web's bootstrap in plain Python against the engine's in numpy."""

import random
from collections import Counter

import numpy as np
import pytest

from webapp.jobs.paired import Labelled, macro_f1, macro_f1_gain, mean, paired_interval
from worker.engine import label_metrics
from worker.engine.bootstrap import interval, weighted_mean

LABELS = ("river", "lake", "sea")


def labelled(num_rows: int = 90) -> list[Labelled]:
    """Two models of which the one is right more often than the other."""
    dice = random.Random(5)
    rows = []
    for _ in range(num_rows):
        wanted, guess = dice.choice(LABELS), dice.choice(LABELS)
        rows.append(
            Labelled(wanted, wanted if dice.random() < 0.8 else guess, wanted if dice.random() < 0.5 else guess)
        )
    return rows


def of(rows: list[Labelled], which: str) -> label_metrics.Labelled:
    wanted, answered = [row.wanted for row in rows], [getattr(row, which) for row in rows]
    return label_metrics.Labelled.of(wanted, answered, LABELS)


def test_the_mean_of_gains_is_as_sure_as_the_engine_says() -> None:
    gains = [1.0] * 30 + [0.0] * 60 + [-1.0] * 10
    engine = interval(lambda weights: weighted_mean(np.array(gains), weights), len(gains))
    assert paired_interval(gains, mean) == pytest.approx(engine, abs=0.02)


def test_macro_f1_is_as_sure_as_the_engine_says() -> None:
    rows = labelled()
    own, other = of(rows, "own"), of(rows, "other")
    engine = interval(
        lambda weights: label_metrics.macro_f1(own, weights) - label_metrics.macro_f1(other, weights), len(rows)
    )
    assert paired_interval(rows, macro_f1_gain) == pytest.approx(engine, abs=0.02)


def test_macro_f1_is_what_the_engine_counts() -> None:
    rows = labelled()
    once = np.ones((1, len(rows)))
    counted = macro_f1(Counter((row.wanted, row.own) for row in rows))
    assert counted == pytest.approx(float(label_metrics.macro_f1(of(rows, "own"), once)[0]))


def test_where_all_rows_gain_alike_nothing_is_unsure() -> None:
    assert paired_interval([0.5] * 8, mean) == (0.5, 0.5)
