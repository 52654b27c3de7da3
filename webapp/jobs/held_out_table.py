"""The table of all held-out rows: what was asked of it, and the rows that answer. The file is read row by row, twice;
only the place of each row that fits is kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from webapp.contract.held_out import HeldOutRow, read_held_out

LONGEST_SEARCH = 200

ORDERS: dict[str, tuple[str, Callable[[HeldOutRow], Any]]] = {
    "file": ("In the order of the file", lambda row: row.line),
    "best": ("Best: gained most first", lambda row: (-row.gain, row.tuned_loss - row.base_loss)),
    "worst": ("Worst: lost most first", lambda row: (row.gain, row.base_loss - row.tuned_loss)),
    "loss-high": ("Highest loss first", lambda row: -row.tuned_loss),
    "loss-low": ("Lowest loss first", lambda row: row.tuned_loss),
    "random": ("Drawn at random", lambda row: row.line),
}
"""Word in the address -> label, what rows are ordered by. Where scores are alike, the loss decides."""

SHOWS: dict[str, tuple[str, Callable[[HeldOutRow], bool]]] = {
    "all": ("All rows", lambda row: True),
    "better": ("Better than the base", lambda row: row.gain > 0),
    "same": ("The same", lambda row: row.gain == 0),
    "worse": ("Worse than the base", lambda row: row.gain < 0),
}
"""Word in the address -> label, which rows are shown."""


class Asked(NamedTuple):
    """What the address asks for; what it says wrong is left out."""

    order: str = "file"
    show: str = "all"
    text: str = ""
    draw: int = 0
    """Another number gives other random rows first."""

    @classmethod
    def of(cls, order: str, show: str, text: str, draw: str) -> "Asked":
        return cls(
            order=order if order in ORDERS else "file",
            show=show if show in SHOWS else "all",
            text=text.strip()[:LONGEST_SEARCH],
            draw=whole_number(draw) or 0,
        )

    @property
    def query(self) -> str:
        """All of it, as the address of another page of the same table begins."""
        asked = {"order": self.order, "show": self.show, "q": self.text, "draw": self.draw}
        return urlencode({name: value for name, value in asked.items() if value}) + "&"

    @property
    def by_gain(self) -> str:
        """The query of the same rows by gain; asked again, the other way round. So for the loss."""
        return self._replace(order="worst" if self.order == "best" else "best").query

    @property
    def by_loss(self) -> str:
        return self._replace(order="loss-low" if self.order == "loss-high" else "loss-high").query

    @property
    def drawn_anew(self) -> str:
        return self._replace(draw=self.draw + 1).query

    def fits(self, row: HeldOutRow) -> bool:
        texts = (row.input, row.expected, row.base, row.tuned)
        wanted = self.text.casefold()
        return SHOWS[self.show][1](row) and (not wanted or any(wanted in text.casefold() for text in texts))

    def key(self, row: HeldOutRow) -> Any:
        if self.order == "random":
            return hashlib.sha256(f"{self.draw} {row.line}".encode()).digest()
        return ORDERS[self.order][1](row)


class Place(NamedTuple):
    """Where a row stands in the file, counted from 0, and its line in the person's own file."""

    number: int
    line: int


def places_of(path: Path, asked: Asked) -> list[Place]:
    """Of the rows that are asked for, in the order asked for. Raises OSError, ValueError."""
    found = [
        (asked.key(row), Place(number, row.line)) for number, row in enumerate(read_held_out(path)) if asked.fits(row)
    ]
    return [place for _key, place in sorted(found)]


def rows_at(path: Path, places: list[Place]) -> list[HeldOutRow]:
    """In the order of the places. Raises OSError, ValueError."""
    numbers = [place.number for place in places]
    by_number = dict(zip(sorted(numbers), read_held_out(path, frozenset(numbers)), strict=True))
    return [by_number[number] for number in numbers]


def whole_number(text: str) -> int | None:
    """None for what is none, or is too large to be meant."""
    return int(text) if text.isdecimal() and len(text) < 16 else None
