"""Figures as people read them."""

import pytest

from tests.adapters.verdicts import make_verdict
from webapp.shown import difference_in, duration, in_metric, megabytes, percent, plain, short_count

PRIMARY = make_verdict().primary
LOSS = PRIMARY.model_copy(update={"is_percent": False})


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0.0 kB"), (36_864, "36.9 kB"), (4_900_000, "4.9 MB"), (269_060_552, "269.1 MB"), (82_600_000_000, "82.6 GB"),
     (None, "unknown")],
)  # fmt: skip
def test_sizes(size: int | None, shown: str) -> None:
    assert megabytes(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (59.4, "59 s"), (75.2, "1 min 15 s"), (3_840, "1 h 4 min"), (None, "unknown")]
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("share", "shown"), [(0.0178, "1.8 %"), (0.000068, "0.0068 %"), (0, "0.0 %"), (1, "100.0 %")])
def test_shares(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(("number", "shown"), [(950, "950"), (9_216, "9.2 k"), (134_515_008, "134.5 M")])
def test_counts(number: int, shown: str) -> None:
    assert short_count(number) == shown


@pytest.mark.parametrize(("number", "shown"), [(1e-6, "0.000001"), (0.5, "0.5"), (8192.0, "8192"), (0.0, "0")])
def test_bounds(number: float, shown: str) -> None:
    assert plain(number) == shown


def test_scores_follow_their_metric() -> None:
    assert in_metric(0.913, PRIMARY) == "91.3 %"
    assert in_metric(0.2138, LOSS) == "0.214"
    assert difference_in(-0.07, PRIMARY) == "−7.0"
    assert difference_in(0.07, LOSS) == "+0.070"
