"""How good chosen labels are: figures over many resamples at once, the confusion matrix, and each label by itself."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from webapp.contract.verdict import MOST_CONFUSION_LABELS, Confusion, LabelFigures, LabelScore
from worker.engine.bootstrap import Floats


class Labelled(NamedTuple):
    """Rows and labels as ones and zeros (rows, labels): which label each row has, and which it was answered with."""

    wanted: Floats
    answered: Floats

    @classmethod
    def of(cls, expected: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> "Labelled":
        ones, number = np.eye(len(labels)), {label: at for at, label in enumerate(labels)}
        return cls(ones[[number[one] for one in expected]], ones[[number[one] for one in answers]])

    def tally(self, weights: Floats) -> "Tally":
        return Tally(weights @ self.wanted, weights @ self.answered, weights @ (self.wanted * self.answered))


class Tally(NamedTuple):
    """How often each label was wanted, answered, and both (resamples, labels)."""

    wanted: Floats
    answered: Floats
    hits: Floats


def accuracy(rows: Labelled, weights: Floats) -> Floats:
    tally = rows.tally(weights)
    share: Floats = tally.hits.sum(axis=1) / tally.wanted.sum(axis=1)
    return share


def macro_f1(rows: Labelled, weights: Floats) -> Floats:
    """Mean over labels of each label's F1, so that rare labels count as much as common ones; a label that neither
    occurs nor is answered is left out."""
    tally = rows.tally(weights)
    either = tally.wanted + tally.answered
    mean: Floats = _share(2 * tally.hits, either).sum(axis=1) / (either > 0).sum(axis=1)
    return mean


def balanced_accuracy(rows: Labelled, weights: Floats) -> Floats:
    """Mean over the labels that occur of the share of them that was found."""
    tally = rows.tally(weights)
    mean: Floats = _share(tally.hits, tally.wanted).sum(axis=1) / (tally.wanted > 0).sum(axis=1)
    return mean


def matthews(rows: Labelled, weights: Floats) -> Floats:
    """Matthews' correlation for any number of labels (Gorodkin 2004): 1 all right, 0 no better than chance; 0 also
    where only one label occurs or is answered."""
    wanted, answered, hits = rows.tally(weights)
    total = wanted.sum(axis=1)
    both = hits.sum(axis=1) * total - (wanted * answered).sum(axis=1)
    spread = (total**2 - (wanted**2).sum(axis=1)) * (total**2 - (answered**2).sum(axis=1))
    return _share(both, np.sqrt(spread))


def labels_of(expected: Sequence[str], *answers: Sequence[str]) -> list[str]:
    """All that occur, the most common expected one first."""
    count = Counter(expected)
    return sorted({*expected, *(one for some in answers for one in some)}, key=lambda label: (-count[label], label))


def confusion_of(labels: Sequence[str], base: Labelled, tuned: Labelled) -> Confusion | None:
    if len(labels) > MOST_CONFUSION_LABELS:
        return None

    def counts(rows: Labelled) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(int(count) for count in row) for row in rows.wanted.T @ rows.answered)

    return Confusion(labels=tuple(labels), base=counts(base), tuned=counts(tuned))


def label_scores(labels: Sequence[str], base: Labelled, tuned: Labelled) -> tuple[LabelScore, ...]:
    once = np.ones((1, len(base.wanted)))
    before, after = base.tally(once), tuned.tally(once)
    return tuple(
        LabelScore(
            label=label,
            support=int(before.wanted[0, at]),
            base=_figures(before, at),
            tuned=_figures(after, at),
        )
        for at, label in enumerate(labels)
    )


def _figures(tally: Tally, at: int) -> LabelFigures:
    wanted, answered, hits = (counts[0, at] for counts in tally)
    return LabelFigures(
        precision=float(_share(hits, answered)),
        recall=float(_share(hits, wanted)),
        f1=float(_share(2 * hits, wanted + answered)),
    )


def _share(part: Floats, whole: Floats) -> Floats:
    """0 where the whole is nothing."""
    share: Floats = np.where(whole > 0, part / np.maximum(whole, 1e-12), 0.0)
    return share
