"""A rehearsed job leaves no trace, in its folder or in the next one, and is cut short when a real one comes."""

from pathlib import Path

import pytest
import torch

from tests.engine.here import Attempt, lay_job
from worker.engine.rehearsal import rehearse
from worker.engine.stop import Wanted, never


class Listening:
    """Whether anybody asked what is wanted, and what they heard."""

    def __init__(self, word: Wanted) -> None:
        self.word, self.times = word, 0

    def __call__(self) -> Wanted:
        self.times += 1
        return self.word


def test_a_job_after_a_rehearsal_is_the_job_without_one(tmp_path: Path) -> None:
    first, second = (lay_job(tmp_path, epochs=1) for _job in range(2))
    plain = Attempt(first)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    rehearse(first, never)
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    again = Attempt(second)
    assert again.trace == plain.trace
    assert all(torch.equal(again.weights[name], weight) for name, weight in plain.weights.items())


def test_it_goes_as_far_as_a_step_and_no_further_than_a_job_lets_it(tmp_path: Path) -> None:
    job_dir = lay_job(tmp_path, task="classify")
    whole, cut = Listening("go_on"), Listening("cancel")
    rehearse(job_dir, whole)
    rehearse(job_dir, cut)
    assert (whole.times, cut.times) == (2, 1)


@pytest.mark.parametrize(("method", "knobs"), [("full", {}), ("lora", {"quantised": "4bit"})])
def test_what_would_take_much_is_not_rehearsed(method: str, knobs: dict[str, str], tmp_path: Path) -> None:
    heard = Listening("go_on")
    rehearse(lay_job(tmp_path, method=method, **knobs), heard)
    assert heard.times == 0
