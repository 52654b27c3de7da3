"""Base against tuned: what decides, the differences, and the words for it."""

import numpy as np
import pytest

from webapp.contract.tasks import Task
from webapp.contract.verdict import Cost, Verdict
from worker.engine.measure import Measured
from worker.engine.verdict import HeldOut, Judgement, judge

COST = Cost(
    train_seconds=1, total_seconds=2, tokens=3, tokens_per_second=3, peak_memory_bytes=4, trainable_params=5,
    total_params=6, adapter_bytes=7, full_checkpoint_bytes=8,
)  # fmt: skip
LONG = "The quick brown fox jumps over the lazy dog, again and again."


def judged(expected: list[str], base: list[str], tuned: list[str], task: Task = "generate", **more: str) -> Judgement:
    num_rows = len(expected)
    rows = HeldOut(list(range(num_rows)), [f"in {row}" for row in range(num_rows)], expected)
    counts = np.full(num_rows, 2)
    before, after = (Measured(answers, losses, counts) for answers, losses in
                     ((base, np.full(num_rows, 4.0)), (tuned, np.full(num_rows, 1.0))))  # fmt: skip
    return judge(task, rows, before, after, common_label=more.get("common_label", ""), cost=COST)


def verdict_of(expected: list[str], base: list[str], tuned: list[str], task: Task = "generate", **more: str) -> Verdict:
    return judged(expected, base, tuned, task, **more).verdict


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
    verdict = verdict_of([LONG] * 6, ["no"] * 6, [LONG[:-8] + "again!"] * 6)
    assert verdict.primary.metric == "chrf" and "characters" in verdict.primary_why
    others = {comparison.metric for comparison in verdict.others}
    assert others == {"exact_match", "token_f1", "rouge_l", "bleu", "loss", "perplexity"}


def test_answers_of_a_word_are_not_compared_by_sequences_of_words() -> None:
    verdict = verdict_of(["yes"] * 6, ["no"] * 6, ["yes"] * 6, "transform")
    assert [one.metric for one in verdict.others] == ["token_f1", "chrf", "loss", "perplexity"]


def test_bleu_counts_a_row_as_won_by_its_own_bleu() -> None:
    verdict = verdict_of([LONG] * 4, [LONG] * 2 + ["no"] * 2, [LONG] + ["The quick brown fox"] * 3)
    (bleu,) = (one for one in verdict.others if one.metric == "bleu")
    assert (bleu.wins, bleu.ties, bleu.losses) == (2, 1, 1)


def test_the_loss_is_per_token_and_lower_is_better() -> None:
    loss, perplexity = verdict_of(["a"] * 6, ["a"] * 6, ["a"] * 6).others[-2:]
    assert (loss.metric, loss.base, loss.tuned, loss.difference) == ("loss", 2.0, 0.5, -1.5)
    assert (loss.low, loss.high, loss.wins) == (-1.5, -1.5, 6)
    assert (perplexity.base, perplexity.tuned) == pytest.approx((np.exp(2), np.exp(0.5)))
    assert not any(one.higher_is_better or one.is_percent for one in (loss, perplexity))


def test_a_classifier_must_beat_the_most_common_label() -> None:
    expected = ["cat"] * 7 + ["dog"] * 3
    verdict = verdict_of(expected, ["dog"] * 10, ["cat"] * 10, "classify", common_label="cat")
    assert "“cat”" in verdict.baseline
    assert (verdict.primary.base, verdict.primary.tuned, verdict.outcome) == (0.7, 0.7, "no_clear_difference")
    others = [comparison.metric for comparison in verdict.others]
    assert others == ["macro_f1", "balanced_accuracy", "mcc", "loss"]


def test_a_lucky_new_head_is_the_bar_if_it_is_the_higher_one() -> None:
    expected = ["cat"] * 5 + ["dog"] * 5
    verdict = verdict_of(expected, ["cat"] * 5 + ["dog"] * 4 + ["cat"], expected, "classify", common_label="cat")
    assert "new head" in verdict.baseline and "“cat”" not in verdict.baseline
    assert verdict.primary.base == 0.9


def test_where_one_label_has_nearly_all_rows_every_label_counts_alike() -> None:
    expected = ["fine"] * 16 + ["broken"] * 4
    verdict = verdict_of(expected, ["broken"] * 20, ["fine"] * 16 + ["broken"] * 4, "classify", common_label="fine")
    assert verdict.primary.metric == "macro_f1" and verdict.outcome == "better"
    assert "“fine” is the label of 80%" in verdict.primary_why
    assert verdict.sentence.startswith("Better than the base model: macro F1 44 % → 100 %")


def test_labels_come_with_confusion_and_figures_of_each() -> None:
    expected = ["cat"] * 6 + ["dog"] * 4
    verdict = verdict_of(expected, ["dog"] * 10, ["cat"] * 7 + ["dog"] * 3, "classify", common_label="cat")
    assert verdict.confusion is not None and verdict.confusion.labels == ("cat", "dog")
    assert verdict.confusion.base == ((6, 0), (4, 0)) and verdict.confusion.tuned == ((6, 0), (1, 3))
    found = [(one.label, one.support, one.tuned.recall) for one in verdict.per_label]
    assert found == [("cat", 6, 1.0), ("dog", 4, 0.75)]


def test_samples_are_the_rows_gained_most_lost_most_and_some_others() -> None:
    expected = ["yes"] * 30
    base, tuned = ["yes"] * 3 + ["no"] * 27, ["no"] * 5 + ["yes"] * 25
    samples = verdict_of(expected, base, tuned).samples
    assert [sample.tag for sample in samples] == ["best"] * 4 + ["worst"] * 3 + ["random"] * 4
    assert {sample.line for sample in samples if sample.tag == "worst"} == {0, 1, 2}
    assert len({sample.line for sample in samples}) == len(samples)


def test_samples_are_cut_short_and_the_rows_are_not() -> None:
    verdict, rows = judged(["x" * 5_000] * 10, ["no"] * 10, ["x" * 5_000] * 10)
    assert (len(verdict.samples[0].tuned), verdict.samples[0].tuned_score) == (2_000, 1.0)
    assert [len(row.tuned) for row in rows] == [5_000] * 10


def test_every_row_has_its_scores_and_mean_losses() -> None:
    rows = judged(["yes", "no"], ["no", "no"], ["yes", "yes"]).rows
    assert [(row.line, row.base_score, row.tuned_score, row.gain) for row in rows] == [(0, 0, 1, 1), (1, 1, 0, -1)]
    assert (rows[0].base_loss, rows[0].tuned_loss) == (2.0, 0.5)


def test_a_verdict_of_before_can_still_be_read() -> None:
    new = ("primary_why", "confusion", "per_label", "forgetting", "suspects", "suspects_note")
    old = verdict_of(["yes"] * 6, ["no"] * 6, ["yes"] * 6).model_dump()
    old["samples"] = [{name: value for name, value in sample.items() if name != "tag"} for sample in old["samples"]]
    old["cost"].pop("energy_wh")
    again = Verdict.model_validate({name: value for name, value in old.items() if name not in new})
    assert (again.outcome, again.forgetting, again.suspects, again.cost.energy_wh) == ("better", None, (), None)
    assert {sample.tag for sample in again.samples} == {None}
