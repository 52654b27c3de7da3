"""Which label is taken for which, most often first; and that in a sentence, for the page, the report and the card."""

from collections.abc import Sequence
from typing import NamedTuple

from webapp.contract.verdict import Confusion


class Mistake(NamedTuple):
    """Held-out rows of the label `wanted` that were answered `answered`."""

    wanted: str
    answered: str
    num_rows: int

    @property
    def times(self) -> str:
        return {1: "once", 2: "twice"}.get(self.num_rows, f"{self.num_rows:,} times")


def mistakes_of(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[Mistake]:
    """`counts` are those of a `Confusion`, of either model."""
    found = [
        Mistake(wanted, answered, count)
        for wanted, row in zip(labels, counts, strict=True)
        for answered, count in zip(labels, row, strict=True)
        if count and wanted != answered
    ]
    return sorted(found, key=lambda one: -one.num_rows)


def mistakes_sentence(confusion: Confusion) -> str:
    """Of the tuned model."""
    mistakes = mistakes_of(confusion.labels, confusion.tuned)
    if not mistakes:
        return "No held-out row was given a wrong label."
    worst = mistakes[0]
    return f"Most often mistaken: “{worst.wanted}” taken for “{worst.answered}” ({worst.times})."
