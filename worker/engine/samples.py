"""The few held-out rows that a verdict shows at once: gained most, lost most, and some that are neither."""

import random
from collections.abc import Sequence
from typing import Literal

from webapp.contract.held_out import HeldOutRow
from webapp.contract.verdict import Sample

SAMPLES_A_TAG = 4
LONGEST_SAMPLE_TEXT = 2_000


def telling_samples(rows: Sequence[HeldOutRow]) -> tuple[Sample, ...]:
    """At most `SAMPLES_A_TAG` of each; where scores are alike, the loss decides which row comes first."""
    by_gain = sorted(rows, key=lambda row: (row.gain, row.base_loss - row.tuned_loss))
    worst = [row for row in by_gain if row.gain < 0][:SAMPLES_A_TAG]
    best = [row for row in reversed(by_gain) if row.gain > 0][:SAMPLES_A_TAG]
    shown = {row.line for row in (*best, *worst)}
    rest = [row for row in rows if row.line not in shown]
    some = random.Random(0).sample(rest, min(SAMPLES_A_TAG, len(rest)))
    return (
        *(_sample(row, "best") for row in best),
        *(_sample(row, "worst") for row in worst),
        *(_sample(row, "random") for row in some),
    )


def _sample(row: HeldOutRow, tag: Literal["best", "worst", "random"]) -> Sample:
    return Sample(
        line=row.line,
        input=row.input[:LONGEST_SAMPLE_TEXT],
        expected=row.expected[:LONGEST_SAMPLE_TEXT],
        base=row.base[:LONGEST_SAMPLE_TEXT],
        tuned=row.tuned[:LONGEST_SAMPLE_TEXT],
        base_score=row.base_score,
        tuned_score=row.tuned_score,
        tag=tag,
    )
