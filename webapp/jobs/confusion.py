"""The confusion matrix as a picture: a table of shaded cells, base and tuned. Many labels are told in words instead."""

import math
from typing import NamedTuple

from webapp.contract.mistakes import Mistake, mistakes_of, mistakes_sentence
from webapp.contract.verdict import Confusion

MOST_LABELS_DRAWN = 20
MOST_LABELS_ABREAST = 8
"""Up to so many, both pictures stand side by side."""
MOST_MISTAKES = 12
SHADES = 5


class Cell(NamedTuple):
    """`shade` is 0 where no row is, else 1 to `SHADES` by its share of the label's rows."""

    num_rows: int
    shade: int
    is_right: bool
    answered: str


class Line(NamedTuple):
    label: str
    num_rows: int
    cells: list[Cell]


class Picture(NamedTuple):
    """A line a label that is wanted, a cell a label that was answered."""

    title: str
    labels: tuple[str, ...]
    lines: list[Line]


class ConfusionPanel(NamedTuple):
    """`pictures` are empty where there are too many labels; then the mistakes in words have to do."""

    sentence: str
    pictures: list[Picture]
    mistakes: list[Mistake]
    num_mistakes: int
    is_abreast: bool


def confusion_panel(confusion: Confusion) -> ConfusionPanel:
    mistakes = mistakes_of(confusion.labels, confusion.tuned)
    num_labels = len(confusion.labels)
    return ConfusionPanel(
        sentence=mistakes_sentence(confusion),
        pictures=_pictures(confusion) if num_labels <= MOST_LABELS_DRAWN else [],
        mistakes=mistakes[:MOST_MISTAKES],
        num_mistakes=len(mistakes),
        is_abreast=num_labels <= MOST_LABELS_ABREAST,
    )


def _pictures(confusion: Confusion) -> list[Picture]:
    both = (("Tuned", confusion.tuned), ("Base", confusion.base))
    return [
        Picture(title, confusion.labels, [_line(confusion.labels, at, row) for at, row in enumerate(counts)])
        for title, counts in both
    ]


def _line(labels: tuple[str, ...], at: int, row: tuple[int, ...]) -> Line:
    num_rows = sum(row)
    cells = [
        Cell(count, math.ceil(SHADES * count / num_rows) if count else 0, number == at, labels[number])
        for number, count in enumerate(row)
    ]
    return Line(labels[at], num_rows, cells)
