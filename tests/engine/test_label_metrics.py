"""Figures of labels: worked by hand, and the same as scikit-learn's on labels at random."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as known

from worker.engine.bootstrap import Floats
from worker.engine.label_metrics import (
    Labelled,
    accuracy,
    balanced_accuracy,
    confusion_of,
    label_scores,
    labels_of,
    macro_f1,
    matthews,
)

Figure = Callable[[Labelled, Floats], Floats]

KNOWN = {
    accuracy: known.accuracy_score,
    macro_f1: lambda wanted, got: known.f1_score(wanted, got, average="macro", zero_division=0),
    balanced_accuracy: known.balanced_accuracy_score,
    matthews: known.matthews_corrcoef,
}


def labelled(expected: str, answers: str) -> Labelled:
    return Labelled.of(list(expected), list(answers), labels_of(list(expected), list(answers)))


def value(figure: Figure, expected: str, answers: str) -> float:
    return float(figure(labelled(expected, answers), np.ones((1, len(expected))))[0])


def at_random(seed: int) -> tuple[str, str]:
    """Few rows of up to five labels, so that some labels are never wanted, or never answered."""
    dice = np.random.default_rng(seed)
    labels = list("abcde")[: dice.integers(1, 6)]
    expected = dice.choice(labels, size=12)
    answers = np.where(dice.random(12) < 0.5, expected, dice.choice(list("abcde"), size=12))
    return "".join(expected), "".join(answers)


@pytest.mark.parametrize("figure", KNOWN, ids=lambda figure: figure.__name__)
def test_it_is_what_scikit_learn_computes(figure: Figure) -> None:
    for seed in range(40):
        expected, answers = at_random(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = KNOWN[figure](list(expected), list(answers))
        assert value(figure, expected, answers) == pytest.approx(wanted), (expected, answers)


@pytest.mark.parametrize("figure", KNOWN, ids=lambda figure: figure.__name__)
def test_a_draw_s_figure_is_that_of_its_rows(figure: Figure) -> None:
    """Weights of many draws at once, against each draw written out."""
    expected, answers = at_random(3)
    drawn = np.random.default_rng(0).integers(0, 12, size=(20, 12))
    weights = np.stack([np.bincount(draw, minlength=12) for draw in drawn]).astype(float)
    together = figure(labelled(expected, answers), weights)
    for draw, one in zip(drawn, together, strict=True):
        alone = value(figure, "".join(expected[row] for row in draw), "".join(answers[row] for row in draw))
        assert one == pytest.approx(alone)


def test_macro_f1_weighs_every_label_alike() -> None:
    # a: 3 right of 3 wanted and 4 said = 6/7; b: none right of 1 wanted and 0 said.
    assert value(macro_f1, "aaab", "aaaa") == pytest.approx((6 / 7 + 0) / 2)
    # A label that is said though never wanted counts, with 0.
    assert value(macro_f1, "aa", "ac") == pytest.approx((2 / 3 + 0) / 2)


def test_always_the_same_answer_correlates_with_nothing() -> None:
    assert value(matthews, "aaab", "aaaa") == 0.0
    assert value(matthews, "abab", "abab") == 1.0
    assert value(matthews, "abab", "baba") == -1.0


def test_the_confusion_matrix_has_the_expected_label_in_rows() -> None:
    labels = labels_of(list("aaabbc"), list("aabbbd"))
    assert labels == ["a", "b", "c", "d"]
    base, tuned = (Labelled.of(list("aaabbc"), list(answers), labels) for answers in ("aaaaaa", "aabbbd"))
    confusion = confusion_of(labels, base, tuned)
    assert confusion is not None
    assert confusion.base == ((3, 0, 0, 0), (2, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0))
    assert confusion.tuned == ((2, 1, 0, 0), (0, 2, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0))


def test_each_label_has_its_own_figures() -> None:
    labels = labels_of(list("aaabbc"), list("aabbbd"))
    rows = Labelled.of(list("aaabbc"), list("aabbbd"), labels)
    scores = label_scores(labels, rows, rows)
    assert [(one.label, one.support) for one in scores] == [("a", 3), ("b", 2), ("c", 1), ("d", 0)]
    a, b, c, d = (one.tuned for one in scores)
    assert (a.precision, a.recall, a.f1) == pytest.approx((1.0, 2 / 3, 0.8))
    assert (b.precision, b.recall, b.f1) == pytest.approx((2 / 3, 1.0, 0.8))
    assert (c.precision, c.recall, c.f1) == (d.precision, d.recall, d.f1) == (0.0, 0.0, 0.0)


def test_too_many_labels_have_no_picture() -> None:
    names = [f"label {number}" for number in range(201)]
    rows = Labelled.of(names, names, names)
    assert confusion_of(names, rows, rows) is None
