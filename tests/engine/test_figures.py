"""Metrics, intervals and schedules against cases worked out by hand."""

import numpy as np
import pytest

from webapp.contract.verdict import Cost
from worker.engine.batches import epoch_steps, micro_batches
from worker.engine.measure import Measured
from worker.engine.metrics import chrf, exact_match, token_f1
from worker.engine.schedule import lr_multiplier, step_multiplier
from worker.engine.verdict import HeldOut, bootstrap_interval, judge, macro_f1

COST = Cost(
    train_seconds=1, total_seconds=2, tokens=1, tokens_per_second=1, peak_memory_bytes=1, trainable_params=1,
    total_params=2, adapter_bytes=4, full_checkpoint_bytes=8,
)  # fmt: skip


def measured(answers: list[str], loss: float) -> Measured:
    return Measured(answers, np.full(len(answers), loss), np.ones(len(answers), dtype=np.int64))


def held_out(expected: list[str]) -> HeldOut:
    return HeldOut(list(range(2, len(expected) + 2)), [f"input {i}" for i in range(len(expected))], expected)


@pytest.mark.parametrize(
    ("answer", "expected", "score"), [("a  b\n", "a b", 1), ("a", "A", 0), ("", "a", 0), ("ab", "a b", 0)]
)
def test_exact_match_forgives_white_space_alone(answer: str, expected: str, score: float) -> None:
    assert exact_match(answer, expected) == score


def test_word_overlap() -> None:
    assert token_f1("a b c", "a b d e") == pytest.approx(2 * 2 / 7)
    assert token_f1("a a", "a") == pytest.approx(2 / 3)
    assert token_f1("x", "y") == 0


def test_chrf_goes_from_nothing_to_all() -> None:
    assert chrf("the same", "the same") == pytest.approx(1)
    assert chrf("xyz", "abc") == 0
    assert 0 < chrf("the game", "the same") < 1


def test_macro_f1_counts_rare_labels_like_common_ones() -> None:
    rows = np.arange(4)[None, :]
    # a: precision 3/4, recall 1 -> 6/7; b is never found -> 0
    assert macro_f1(["a", "a", "a", "b"], ["a", "a", "a", "a"], rows)[0] == pytest.approx((6 / 7 + 0) / 2)


def test_an_interval_without_doubt_has_no_width() -> None:
    gain = np.full(30, 0.5)
    assert bootstrap_interval(lambda drawn: gain[drawn].mean(axis=1), 30) == (0.5, 0.5)


def test_an_interval_is_as_wide_as_theory_says_and_repeatable() -> None:
    gain = np.array([0.0, 1.0] * 200)
    low, high = bootstrap_interval(lambda drawn: gain[drawn].mean(axis=1), 400)
    half = 1.96 * np.sqrt(0.25 / 400)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.006)
    assert bootstrap_interval(lambda drawn: gain[drawn].mean(axis=1), 400) == (low, high)


def test_better_no_different_and_worse_are_told_apart() -> None:
    rows, right, wrong = held_out(["yes"] * 40), ["yes"] * 40, ["no"] * 40
    half = ["yes", "no"] * 20

    def outcome(base: list[str], tuned: list[str]) -> str:
        return judge("generate", rows, measured(base, 2), measured(tuned, 1), common_label="", cost=COST).outcome

    assert outcome(wrong, right) == "better"
    assert outcome(right, wrong) == "worse"
    assert outcome(half, half[::-1]) == "no_clear_difference"


def test_the_sentence_has_all_figures() -> None:
    rows = held_out(["yes"] * 40)
    verdict = judge(
        "generate", rows, measured(["no"] * 40, 2), measured(["yes"] * 36 + ["no"] * 4, 1), common_label="", cost=COST
    )
    assert verdict.sentence.startswith("Better than the base model: exact match 0 % → 90 % (+90 points, 95 % interval ")
    assert verdict.sentence.endswith(" on 40 held-out rows.")


def test_a_classifier_must_beat_always_saying_the_common_label() -> None:
    rows = held_out(["a"] * 30 + ["b"] * 10)
    verdict = judge("classify", rows, measured(["b"] * 40, 2), measured(["a"] * 40, 1), common_label="a", cost=COST)
    assert verdict.primary.base == verdict.primary.tuned == 0.75
    assert verdict.outcome == "no_clear_difference" and "“a”" in verdict.baseline


def test_the_learning_rate_climbs_then_falls() -> None:
    assert lr_multiplier(0.05, schedule="cosine", warmup_ratio=0.1) == pytest.approx(0.5)
    assert lr_multiplier(0.1, schedule="cosine", warmup_ratio=0.1) == 1
    assert lr_multiplier(0.55, schedule="cosine", warmup_ratio=0.1) == pytest.approx(0.5)
    assert lr_multiplier(0.55, schedule="linear", warmup_ratio=0.1) == pytest.approx(0.5)
    assert lr_multiplier(1, schedule="linear", warmup_ratio=0.1) == 0
    assert lr_multiplier(0.9, schedule="constant", warmup_ratio=0) == 1


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_no_step_is_wasted(schedule: str) -> None:
    for total in (1, 2, 7):
        for step in range(1, total + 1):
            assert 0 < step_multiplier(step, total, schedule=schedule, warmup_ratio=0.5) <= 1


def test_an_epoch_takes_every_row_once_with_like_lengths_together() -> None:
    lengths = [(row * 37) % 100 + 1 for row in range(100)]
    steps = epoch_steps(lengths, 8, seed=1, epoch=0)
    assert sorted(row for step in steps for row in step) == list(range(100))
    padded = sum(len(step) * max(lengths[row] for row in step) for step in steps)
    assert sum(lengths) / padded > 0.9
    assert steps == epoch_steps(lengths, 8, seed=1, epoch=0) != epoch_steps(lengths, 8, seed=1, epoch=1)


def test_a_step_is_cut_into_pieces_that_fit() -> None:
    lengths = [3000, 1000, 1000, 2000, 9000]
    pieces = list(micro_batches(range(5), lengths))
    assert sorted(row for piece in pieces for row in piece) == list(range(5))
    assert all(len(piece) == 1 or len(piece) * max(lengths[row] for row in piece) <= 4096 for piece in pieces)
