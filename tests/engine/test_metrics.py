"""Scores against cases worked by hand, and against the library that is known for them."""

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from worker.engine.metrics import bleu_counts, chrf, corpus_bleu, exact_match, rouge_l, token_f1


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


def test_a_common_sequence_may_have_gaps_but_keeps_its_order() -> None:
    # "the cat down" is common: 3 of 4 words and 3 of 5 words.
    assert rouge_l("the cat fell down", "the old cat sat down") == pytest.approx(6 / 9)
    # Of two words the other way round one is left.
    assert rouge_l("b a", "a b") == pytest.approx(1 / 2)
    assert rouge_l("", "a b") == rouge_l("c", "a b") == 0.0
    assert rouge_l("a b a b", "a b a b") == 1.0


def table_of_common_sequences(one: list[str], other: list[str]) -> int:
    """The usual way."""
    table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    for i, word in enumerate(one):
        for j, same in enumerate(other):
            table[i + 1, j + 1] = table[i, j] + 1 if word == same else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


def test_the_quick_way_to_common_sequences_finds_what_the_usual_one_does() -> None:
    dice = np.random.default_rng(2)
    for _case in range(50):
        one, other = (list(dice.choice(list("abcd"), size=dice.integers(1, 90))) for _ in range(2))
        f1 = 2 * table_of_common_sequences(one, other) / (len(one) + len(other))
        assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(f1)


ANSWERS = ["the cat sat on the mat", "yes", "one two three four five six", "", "a stitch in time saves nine they say"]
EXPECTED = ["the cat sat on a mat", "no", "one two three four six five", "nothing", "a stitch in time saves nine"]


@pytest.mark.parametrize("rows", [[0], [1], [0, 1, 2, 3, 4], [2, 4], [1, 3], [0, 0, 4]])
def test_bleu_is_sacrebleu_s(rows: list[int]) -> None:
    known = BLEU(effective_order=True).corpus_score(
        [ANSWERS[row] for row in rows], [[EXPECTED[row] for row in rows]]
    )  # fmt: skip
    weights = np.bincount(rows, minlength=5)[None, :].astype(float)
    assert corpus_bleu(bleu_counts(ANSWERS, EXPECTED), weights)[0] == pytest.approx(known.score / 100)
