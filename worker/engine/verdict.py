"""Base against tuned on the same held-out rows: differences, how sure they are, and a plain sentence."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from webapp.contract.held_out import HeldOutRow
from webapp.contract.tasks import Task
from webapp.contract.verdict import Comparison, Confusion, Cost, Forgetting, LabelScore, Outcome, Verdict
from worker.engine.bootstrap import Floats
from worker.engine.comparisons import compare, compare_losses, compare_means, compare_perplexity
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
from worker.engine.measure import Measured
from worker.engine.metrics import ROW_METRICS, bleu_counts, corpus_bleu
from worker.engine.rows import HeldOut
from worker.engine.samples import telling_samples
from worker.engine.suspects import NONE_LOOKED_AT, Suspects

SHORT_ANSWER_CHARACTERS = 40
"""Where half the expected answers are no longer than this, being exactly right is what counts."""
FEW_WORDS = 4
"""Sequences of words are compared only where half the expected answers have at least so many."""
COMMON_LABEL_SHARE = 0.7
"""Where one label has more of the rows than this, accuracy praises a model that knows nothing else."""


class Judgement(NamedTuple):
    verdict: Verdict
    rows: list[HeldOutRow]


class Why(NamedTuple):
    """The metric that decides, and the sentence that says why."""

    metric: str
    sentence: str


class ByTask(NamedTuple):
    """What differs between labels and texts. `base` is what stands for the base model, in the words of `baseline`."""

    why: Why
    baseline: str
    base: Measured
    compared: list[Comparison]
    confusion: Confusion | None = None
    per_label: tuple[LabelScore, ...] = ()


def judge(
    task: Task,
    rows: HeldOut,
    base: Measured,
    tuned: Measured,
    *,
    common_label: str,
    cost: Cost,
    forgetting: Forgetting | None = None,
    suspects: Suspects = NONE_LOOKED_AT,
) -> Judgement:
    """The verdict, and every row it is of. `common_label` is the most common one of the training rows, to classify."""
    by_task = _by_labels(rows, base, tuned, common_label) if task == "classify" else _by_texts(rows, base, tuned)
    primary = next(one for one in by_task.compared if one.metric == by_task.why.metric)
    outcome = _outcome(primary)
    each = _each_row(rows, by_task.base, tuned, primary.metric)
    verdict = Verdict(
        outcome=outcome,
        sentence=_sentence(outcome, primary),
        baseline=by_task.baseline,
        primary=primary,
        primary_why=by_task.why.sentence,
        others=tuple(one for one in by_task.compared if one is not primary),
        samples=telling_samples(each),
        confusion=by_task.confusion,
        per_label=by_task.per_label,
        forgetting=forgetting,
        suspects=suspects.found,
        suspects_note=suspects.note,
        cost=cost,
    )
    return Judgement(verdict, each)


def _by_labels(rows: HeldOut, untrained: Measured, tuned: Measured, common_label: str) -> ByTask:
    why = why_of_labels(rows.expected)
    baseline, base = _stronger_baseline(rows, untrained, common_label, why.metric)
    labels = labels_of(rows.expected, base.answers, tuned.answers)
    before, after = (Labelled.of(rows.expected, got.answers, labels) for got in (base, tuned))
    loss = compare_losses(base.losses, tuned.losses, base.num_labels, per="row")
    confusion, per_label = confusion_of(labels, before, after), label_scores(labels, before, after)
    return ByTask(why, baseline, base, [*_label_comparisons(before, after), loss], confusion, per_label)


def _by_texts(rows: HeldOut, base: Measured, tuned: Measured) -> ByTask:
    losses = base.losses, tuned.losses, base.num_labels
    compared = [
        *_text_comparisons(rows.expected, base.answers, tuned.answers),
        compare_losses(*losses, per="word piece"),
        compare_perplexity(*losses),
    ]
    return ByTask(_why_of_texts(rows.expected), "The base model as it is, with the same prompts.", base, compared)


def why_of_labels(expected: Sequence[str]) -> Why:
    label, count = Counter(expected).most_common(1)[0]
    share = count / len(expected)
    if share > COMMON_LABEL_SHARE:
        return Why(
            "macro_f1",
            f"“{label}” is the label of {share:.0%} of the held-out rows, so that always answering it would look good "
            "by accuracy. Macro F1 decides: it counts every label alike.",
        )
    return Why("accuracy", "No label has nearly all the rows, so the share of right answers decides.")


def _why_of_texts(expected: Sequence[str]) -> Why:
    if float(np.median([len(text) for text in expected])) <= SHORT_ANSWER_CHARACTERS:
        return Why("exact_match", "Most expected answers are short, so that being exactly right decides.")
    return Why("chrf", "Most expected answers are long, so that it decides how many of their characters are hit.")


def _text_comparisons(expected: list[str], base: list[str], tuned: list[str]) -> list[Comparison]:
    has_sequences = float(np.median([len(text.split()) for text in expected])) >= FEW_WORDS
    names = [name for name in ROW_METRICS if has_sequences or name != "rouge_l"]
    compared = [
        compare_means(name, ROW_METRICS[name][0], *(row_scores(name, got, expected) for got in (base, tuned)))
        for name in names
    ]
    if has_sequences:
        before, after = bleu_counts(base, expected), bleu_counts(tuned, expected)
        alone = np.eye(len(expected))
        gain = corpus_bleu(after, alone) - corpus_bleu(before, alone)
        compared.append(compare("bleu", "BLEU", before, after, corpus_bleu, gain=gain))
    return compared


def _label_comparisons(base: Labelled, tuned: Labelled) -> list[Comparison]:
    alone = np.eye(len(base.wanted))
    gain = accuracy(tuned, alone) - accuracy(base, alone)
    return [
        compare("accuracy", "accuracy", base, tuned, accuracy, gain=gain),
        compare("macro_f1", "macro F1", base, tuned, macro_f1, gain=gain),
        compare("balanced_accuracy", "balanced accuracy", base, tuned, balanced_accuracy, gain=gain),
        compare("mcc", "Matthews correlation", base, tuned, matthews, gain=gain, is_percent=False),
    ]


def _stronger_baseline(rows: HeldOut, untrained: Measured, common_label: str, metric: str) -> tuple[str, Measured]:
    """An untrained head guesses, so beating it says little; always answering the most common label is the bar."""
    always = untrained._replace(answers=[common_label] * len(rows.expected))
    figure = macro_f1 if metric == "macro_f1" else accuracy
    labels = labels_of(rows.expected, untrained.answers, always.answers)
    once = np.ones((1, len(rows.expected)))
    by_head, by_habit = (
        figure(Labelled.of(rows.expected, got.answers, labels), once)[0] for got in (untrained, always)
    )
    if by_head > by_habit:
        return "The base model with a new head that has learnt nothing yet.", untrained
    return f"Always answering “{common_label}”, the most common label; a new head on the base model does worse.", always


def _each_row(rows: HeldOut, base: Measured, tuned: Measured, metric: str) -> list[HeldOutRow]:
    before, after = (row_scores(metric, got.answers, rows.expected) for got in (base, tuned))
    return [
        HeldOutRow(
            line=line,
            input=rows.inputs[at],
            expected=rows.expected[at],
            base=base.answers[at],
            tuned=tuned.answers[at],
            base_score=before[at],
            tuned_score=after[at],
            base_loss=base.losses[at] / base.num_labels[at],
            tuned_loss=tuned.losses[at] / tuned.num_labels[at],
        )
        for at, line in enumerate(rows.lines)
    ]


def row_scores(metric: str, answers: Sequence[str], expected: Sequence[str]) -> Floats:
    """Of each row; for labels, whether it is right."""
    if metric not in ROW_METRICS:
        return np.array([float(answer == wanted) for answer, wanted in zip(answers, expected, strict=True)])
    score = ROW_METRICS[metric][1]
    return np.array([score(answer, wanted) for answer, wanted in zip(answers, expected, strict=True)])


def _outcome(primary: Comparison) -> Outcome:
    if primary.low > 0:
        return "better"
    return "worse" if primary.high < 0 else "no_clear_difference"


def _sentence(outcome: Outcome, primary: Comparison) -> str:
    opening = {
        "better": "Better than the base model",
        "no_clear_difference": "No clear difference to the base model",
        "worse": "Worse than the base model",
    }[outcome]
    base, tuned, difference, low, high = (
        round(100 * share) for share in (primary.base, primary.tuned, primary.difference, primary.low, primary.high)
    )
    return (
        f"{opening}: {primary.label} {base} % → {tuned} % ({difference:+d} points, 95 % interval {low} to {high}) "
        f"on {primary.num_rows} held-out rows."
    )
