"""Small curves of a worker's load as points of an SVG, drawn on the server: no script, nothing to load."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from webapp.contract.devices import Load

WIDTH, HEIGHT = 240.0, 48.0
GAP_SECONDS = 60.0
"""A silence longer than this is a gap in the curve."""


class Curve(NamedTuple):
    """One figure over time. `lines`: SVG points of each unbroken piece; `now`: the newest value, None if not told."""

    title: str
    unit: str
    lines: list[str]
    now: float | None
    lowest: float
    highest: float
    top: float
    """The value at the upper edge; the lower one is 0."""
    minutes: float

    @property
    def digits(self) -> int:
        return 1 if self.unit == "GB" else 0

    @property
    def spoken(self) -> str:
        """The curve for someone who does not see it."""
        span = f"{self.lowest:.0f} to {self.highest:.0f} {self.unit}"
        return f"{self.title} over the last {self.minutes:.0f} minutes: {span}"


def curve(
    title: str, unit: str, points: Iterable[tuple[float, float | None]], top: float | None = None
) -> Curve | None:
    """None where no value is known. `points`: seconds and value; `top`: where the scale ends, else at the highest."""
    told = [(at, value) for at, value in points if value is not None]
    if not told:
        return None
    values = [value for _at, value in told]
    top = max(top or 0.0, *values) or 1.0
    first, last = told[0][0], told[-1][0]
    span = max(last - first, 1.0)
    pieces: list[list[str]] = [[]]
    before = first
    for at, value in told:
        if at - before > GAP_SECONDS:
            pieces.append([])
        pieces[-1].append(f"{(at - first) / span * WIDTH:.1f},{HEIGHT - 1 - value / top * (HEIGHT - 2):.1f}")
        before = at
    lines = [" ".join(piece) for piece in pieces if len(piece) > 1]
    return Curve(title, unit, lines, values[-1], min(values), max(values), top, span / 60)


def device_curves(loads: Sequence[Load], index: int, memory_bytes: int) -> list[Curve]:
    """Use, memory, temperature and power of one device, as far as it tells them."""
    figures = [(load.at, load.devices[index]) for load in loads if index < len(load.devices)]
    gigabytes = [(at, _giga(one.memory_used_bytes)) for at, one in figures]
    curves = [
        curve("Use", "%", ((at, one.percent) for at, one in figures), 100),
        curve("Memory", "GB", gigabytes, memory_bytes / 1e9),
        curve("Temperature", "°C", ((at, one.temperature_celsius) for at, one in figures), 100),
        curve("Power", "W", ((at, one.power_watts) for at, one in figures)),
    ]
    return [one for one in curves if one is not None]


def _giga(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 1e9
