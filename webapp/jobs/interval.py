"""The picture of a difference with its interval: where things stand on a line, in percent of its width."""

from typing import NamedTuple

from webapp.contract.verdict import Comparison

_EDGE = 6.0
"""Room left and right, in percent, for the figures at the ends."""


class IntervalPicture(NamedTuple):
    """All as SVG attributes, so that no style is needed."""

    zero: str
    low: str
    high: str
    width: str
    """From low to high."""
    difference: str


def interval_picture(comparison: Comparison) -> IntervalPicture:
    """Zero is always in the picture: whether the interval holds it is the point."""
    left, right = min(comparison.low, 0.0), max(comparison.high, 0.0)
    span = (right - left) or 1.0

    def place(value: float) -> float:
        return _EDGE + (value - left) / span * (100 - 2 * _EDGE)

    low, high = place(comparison.low), place(comparison.high)
    return IntervalPicture(
        zero=_percent(place(0)),
        low=_percent(low),
        high=_percent(high),
        width=_percent(max(high - low, 0.5)),
        difference=_percent(place(comparison.difference)),
    )


def _percent(value: float) -> str:
    return f"{value:.2f}%"
