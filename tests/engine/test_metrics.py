"""Scores against cases worked by hand."""

import numpy as np
import pytest

from worker.engine.metrics import chrf, exact_match, token_f1
from worker.engine.verdict import macro_f1


def test_white_space_alone_makes_no_difference() -> None:
    assert exact_match(" the  cat\n", "the cat") == 1.0
    assert exact_match("The cat", "the cat") == 0.0
    assert exact_match("", "the cat") == 0.0
    assert exact_match("", " ") == 1.0


def test_words_that_both_have_count_once_each() -> None:
    # 2 of 3 words and 2 of 4 words are shared: 2 * 2 / 7.
    assert token_f1("the the cat", "the cat sat down") == pytest.approx(4 / 7)
    assert token_f1("cat", "dog") == 0.0
    assert token_f1("", "dog") == 0.0
    assert token_f1("a b", "b a") == 1.0


def test_chrf_by_hand() -> None:
    """`abc` against `abd`, beta 2. Of 1-grams 2/3 are right, of 2-grams 1/2, of 3-grams none; longer ones there are
    not, and orders both texts lack are left out of the mean (as chrF++ and sacrebleu do)."""
    assert chrf("abc", "abc") == pytest.approx(1.0)
    assert chrf("abc", "xyz") == 0.0
    assert chrf("", "xyz") == 0.0
    mean = (2 / 3 + 1 / 2 + 0) / 3
    assert chrf("abc", "abd") == pytest.approx(mean, abs=1e-6)


def macro(expected: str, answers: str) -> float:
    rows = np.arange(len(expected))[None, :]
    return float(macro_f1(list(expected), list(answers), rows)[0])


def test_macro_f1_weighs_every_label_alike() -> None:
    assert macro("aabb", "aabb") == 1.0
    # a: 3 right of 3 wanted and 4 said = 6/7; b: none right of 1 wanted and 0 said.
    assert macro("aaab", "aaaa") == pytest.approx((6 / 7 + 0) / 2)
    # a: 2*1/(2+1) = 2/3; b: 2*1/(1+2) = 2/3; c is said by nobody and wanted by nobody: left out.
    assert macro("aab", "abb") == pytest.approx(2 / 3)
    # A label that is said though never wanted counts, with 0.
    assert macro("aa", "ac") == pytest.approx((2 / 3 + 0) / 2)


def test_macro_f1_of_many_draws_is_that_of_each() -> None:
    expected, answers = list("aabbc"), list("abbbc")
    draws = np.random.default_rng(0).integers(0, 5, size=(20, 5))
    together = macro_f1(expected, answers, draws)
    for draw, value in zip(draws, together, strict=True):
        alone = macro("".join(expected[row] for row in draw), "".join(answers[row] for row in draw))
        assert value == pytest.approx(alone)
