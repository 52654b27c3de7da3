"""Training rows that still look odd once training is over: labels that the model contradicts, answers it never learnt.

A row that is looked at costs a third of one that is trained on, so there is an end to looking.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from webapp.contract.verdict import Suspect
from worker.engine.bootstrap import Floats
from worker.engine.encode import Encoded
from worker.engine.forward import Model, mixed_precision
from worker.engine.generate import Heed
from worker.engine.measure import label_log_probabilities, losses_of
from worker.engine.rows import EncodedRows

MOST_LOOKED_AT = 2_000
MOST_SUSPECTS = 50
FIRST_ROWS, QUICK_SECONDS = 64, 0.25
"""Between two looks at the clock: twice as many after those that took no longer, for together rows take less time."""
SHARE_OF_TRAINING = 0.1
LEAST_SECONDS = 2.0
"""What a look may take in any case, where a tenth of the training is next to nothing."""

DENIED, SURE = 0.1, 0.8
"""A label is doubted that the model gives less than the one while it gives another more than the other."""
FAR_OUT = 4.0
"""A loss is far out so many median absolute deviations above the median (Leys et al. 2013 on why not the mean)."""
LEAST_DISTANCE = 0.5
"""And at least this far: where all rows are learnt by heart, the deviations are next to nothing."""
LONGEST_TEXT = 2_000


class Suspects(NamedTuple):
    found: tuple[Suspect, ...]
    note: str


NONE_LOOKED_AT = Suspects((), "")


class Odd(NamedTuple):
    """A row by its number; `answer` is None where it is not known what the model would say."""

    number: int
    loss: float
    answer: str | None
    why: str


def find_suspects(
    model: Model,
    rows: EncodedRows,
    labels: Sequence[str],
    *,
    train_seconds: float,
    divisor: int,
    heed: Heed,
    progress: Callable[[int, int], None],
) -> Suspects:
    """`progress` is told how many rows of how many are done, `heed` asked all the time."""
    order = random.Random(0).sample(range(len(rows)), min(MOST_LOOKED_AT, len(rows)))
    now = time.monotonic()
    deadline = now + max(LEAST_SECONDS, SHARE_OF_TRAINING * train_seconds)
    figures: list[Floats] = []
    done, at_once = 0, FIRST_ROWS
    while done < len(order) and now < deadline:
        progress(done, len(order))
        chunk = [rows[index] for index in order[done : done + at_once]]
        with mixed_precision(model):  # no verdict hangs on it, and it takes a third less time
            figures.append(_figures(model, chunk, bool(labels), divisor, heed))
        done += len(chunk)
        before, now = now, time.monotonic()
        if now - before < QUICK_SECONDS:
            at_once *= 2
    looked_at = order[:done]
    if labels:
        numbers = [rows[index].label for index in looked_at]
        odd = doubted_labels(looked_at, np.concatenate(figures), numbers, labels)
    else:
        odd = never_learnt(looked_at, np.concatenate(figures))
    odd.sort(key=lambda one: -one.loss)
    found = tuple(_suspect(rows, one, bool(labels)) for one in odd[:MOST_SUSPECTS])
    return Suspects(found, _note(done, len(rows), len(odd)))


def _figures(model: Model, rows: Sequence[Encoded], has_labels: bool, divisor: int, heed: Heed) -> Floats:
    """Of each row the logarithms of its labels' probabilities, or its mean loss."""
    if has_labels:
        return label_log_probabilities(model, rows, divisor=divisor, heed=heed)
    sums, counts = losses_of(model, rows, divisor=divisor, heed=heed)
    return sums / np.maximum(counts, 1)


def doubted_labels(rows: Sequence[int], scores: Floats, given: Sequence[int], labels: Sequence[str]) -> list[Odd]:
    """`scores` (rows, labels) are the logarithms of what the model gives each label."""
    odd = []
    for at, (index, label) in enumerate(zip(rows, given, strict=True)):
        best = int(scores[at].argmax())
        own, other = np.exp(scores[at, label]), np.exp(scores[at, best])
        if own < DENIED and other > SURE:
            why = (
                f"The tuned model is {other:.0%} sure of “{labels[best]}” and gives “{labels[label]}” {own:.1%}, "
                "though it was trained on this row. Look whether the label is right."
            )
            odd.append(Odd(index, float(-scores[at, label]), labels[best], why))
    return odd


def never_learnt(rows: Sequence[int], losses: Floats) -> list[Odd]:
    """Robust outliers among the rows' mean losses."""
    usual = float(np.median(losses))
    deviation = float(np.median(np.abs(losses - usual)))
    limit = usual + max(FAR_OUT * deviation, LEAST_DISTANCE)
    return [
        Odd(
            rows[at],
            float(losses[at]),
            None,
            f"Its loss is {losses[at]:.2f} after training on it; half of the rows have {usual:.2f} or less. Look "
            "whether the answer fits the input, or whether the row is the only one of its kind.",
        )
        for at in np.flatnonzero(losses > limit).tolist()
    ]


def _suspect(rows: EncodedRows, odd: Odd, has_labels: bool) -> Suspect:
    text = rows.text(odd.number)
    return Suspect(
        line=text.line,
        kind="mislabelled" if has_labels else "never_learnt",
        input=text.input[:LONGEST_TEXT],
        expected=text.output[:LONGEST_TEXT],
        answer=odd.answer,
        loss=odd.loss,
        why=odd.why,
    )


def _note(looked_at: int, num_rows: int, num_odd: int) -> str:
    whole = f"All {num_rows:,} training rows were" if looked_at == num_rows else (
        f"{looked_at:,} of {num_rows:,} training rows, drawn at random, were"
    )  # fmt: skip
    shown = f" The {MOST_SUSPECTS} with the highest loss are shown." if num_odd > MOST_SUSPECTS else ""
    return f"{whole} looked at after training; {num_odd:,} look odd.{shown}"
