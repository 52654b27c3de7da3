"""Base against tuned: differences, how sure they are, and the words for it."""

import numpy as np
import pytest

from webapp.contract.tasks import Task
from webapp.contract.verdict import Cost, Verdict
from worker.engine.measure import Measured
from worker.engine.verdict import HeldOut, bootstrap_interval, judge

COST = Cost(
    train_seconds=1, total_seconds=2, tokens=3, tokens_per_second=3, peak_memory_bytes=4, trainable_params=5,
    total_params=6, adapter_bytes=7, full_checkpoint_bytes=8,
)  # fmt: skip


def verdict_of(expected: list[str], base: list[str], tuned: list[str], task: Task = "generate", **more: str) -> Verdict:
    num_rows = len(expected)
    rows = HeldOut(list(range(num_rows)), [f"in {row}" for row in range(num_rows)], expected)
    counts = np.full(num_rows, 2)
    before, after = (Measured(answers, losses, counts) for answers, losses in
                     ((base, np.full(num_rows, 4.0)), (tuned, np.full(num_rows, 1.0))))  # fmt: skip
    return judge(task, rows, before, after, common_label=more.get("common_label", ""), cost=COST)


def mean_interval(gain: list[float], seed: int = 0) -> tuple[float, float]:
    values = np.array(gain)
    return bootstrap_interval(lambda drawn: values[drawn].mean(axis=1), len(values), seed=seed)


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


def test_clearly_better() -> None:
    verdict = verdict_of(["yes"] * 20, ["no"] * 20, ["yes"] * 18 + ["no"] * 2)
    assert verdict.outcome == "better"
    assert verdict.primary.metric == "exact_match"
    assert (verdict.primary.base, verdict.primary.tuned) == (0.0, 0.9)
    assert (verdict.primary.wins, verdict.primary.ties, verdict.primary.losses) == (18, 2, 0)
    assert verdict.sentence.startswith("Better than the base model: exact match 0 % → 90 % (+90 points, 95 % interval ")
    assert verdict.sentence.endswith(" on 20 held-out rows.")


def test_clearly_worse() -> None:
    verdict = verdict_of(["yes"] * 20, ["yes"] * 20, ["no"] * 15 + ["yes"] * 5)
    assert verdict.outcome == "worse"
    assert "(-75 points" in verdict.sentence
    assert verdict.sentence.startswith("Worse")


def test_one_row_more_of_twenty_is_no_clear_difference() -> None:
    verdict = verdict_of(["yes"] * 20, ["no"] * 20, ["yes"] + ["no"] * 19)
    assert verdict.outcome == "no_clear_difference"
    same = verdict_of(["yes"] * 5, ["no"] * 5, ["no"] * 5)
    assert (same.outcome, same.primary.low, same.primary.high) == ("no_clear_difference", 0.0, 0.0)


def test_long_answers_are_judged_by_their_characters() -> None:
    long = "The quick brown fox jumps over the lazy dog, again and again."
    verdict = verdict_of([long] * 6, ["no"] * 6, [long[:-8] + "again!"] * 6)
    assert verdict.primary.metric == "chrf"
    assert {comparison.metric for comparison in verdict.others} == {"exact_match", "token_f1", "loss"}


def test_the_loss_is_per_token_and_lower_is_better() -> None:
    loss = verdict_of(["a"] * 6, ["a"] * 6, ["a"] * 6).others[-1]
    assert (loss.metric, loss.base, loss.tuned, loss.difference) == ("loss", 2.0, 0.5, -1.5)
    assert (loss.low, loss.high, loss.wins) == (-1.5, -1.5, 6)
    assert not loss.higher_is_better and not loss.is_percent


def test_a_classifier_must_beat_the_most_common_label() -> None:
    expected = ["cat"] * 8 + ["dog"] * 2
    verdict = verdict_of(expected, ["dog"] * 10, ["cat"] * 10, "classify", common_label="cat")
    assert "“cat”" in verdict.baseline
    assert (verdict.primary.base, verdict.primary.tuned, verdict.outcome) == (0.8, 0.8, "no_clear_difference")
    assert [comparison.metric for comparison in verdict.others] == ["macro_f1", "loss"]


def test_a_lucky_new_head_is_the_bar_if_it_is_the_higher_one() -> None:
    expected = ["cat"] * 5 + ["dog"] * 5
    verdict = verdict_of(expected, ["cat"] * 5 + ["dog"] * 4 + ["cat"], expected, "classify", common_label="cat")
    assert "new head" in verdict.baseline and "“cat”" not in verdict.baseline
    assert verdict.primary.base == 0.9


def test_samples_show_both_answers_and_are_cut_short() -> None:
    verdict = verdict_of(["x" * 5_000] * 100, ["no"] * 100, ["x" * 5_000] * 100)
    assert len(verdict.samples) == 60
    sample = verdict.samples[0]
    assert (sample.input, sample.base, len(sample.tuned), sample.tuned_score) == ("in 0", "no", 2_000, 1.0)
