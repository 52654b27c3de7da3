"""The learning rate at the joints of its curve."""

import pytest

from worker.engine.schedule import lr_multiplier, step_multiplier


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        ("cosine", 0.0, 0.0), ("cosine", 0.1, 0.5), ("cosine", 0.2, 1.0), ("cosine", 0.6, 0.5), ("cosine", 1.0, 0.0),
        ("linear", 0.0, 0.0), ("linear", 0.2, 1.0), ("linear", 0.4, 0.75), ("linear", 1.0, 0.0),
        ("constant", 0.1, 0.5), ("constant", 0.2, 1.0), ("constant", 1.0, 1.0),
    ],
)  # fmt: skip
def test_it_climbs_then_falls(schedule: str, progress: float, expected: float) -> None:
    assert lr_multiplier(progress, schedule=schedule, warmup_ratio=0.2) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_without_a_warm_up_it_starts_at_the_top(schedule: str) -> None:
    assert lr_multiplier(0.0, schedule=schedule, warmup_ratio=0.0) == 1.0


def test_no_step_is_wasted_on_a_rate_of_zero() -> None:
    for total_steps in (1, 2, 10, 1000):
        for schedule in ("cosine", "linear", "constant"):
            for warmup in (0.0, 0.1, 0.5):
                ends = [step_multiplier(step, total_steps, schedule=schedule, warmup_ratio=warmup)
                        for step in (1, total_steps)]  # fmt: skip
                assert all(0 < end <= 1 for end in ends)


def test_ten_steps_by_hand() -> None:
    rates = [step_multiplier(step, 10, schedule="linear", warmup_ratio=0.2) for step in range(1, 11)]
    expected = [0.25, 0.75, 0.9375, 0.8125, 0.6875, 0.5625, 0.4375, 0.3125, 0.1875, 0.0625]
    assert rates == pytest.approx(expected)
