"""Rows are read in a process that the kernel ends where a template or a tokenizer takes more than it may."""

import time
from pathlib import Path

import pytest

from tests.engine.here import Attempt, lay_job
from tests.engine.test_preview_child import ENDLESS
from worker.engine import limited
from worker.engine.errors import TrainingError
from worker.engine.limited import OutOfBounds, run_limited

ENDLESS_POWER = "{% set a = 10 ** (10 ** 9) %}{{ messages[0]['content'] }}"
"""One operation, which no signal handler of Python's could interrupt."""


def job_with(folder: Path, template: str) -> Path:
    job_dir = lay_job(folder)
    (folder / "base" / "chat_template.jinja").write_text(template)
    return job_dir


@pytest.mark.parametrize("template", [ENDLESS, ENDLESS_POWER], ids=["loops", "one operation"])
def test_a_template_that_never_ends_fails_the_job_as_a_template(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "PROCESSOR_SECONDS", 1)
    attempt = Attempt(job_with(tmp_path, template))
    (failed,) = attempt.of_kind("failed")
    assert attempt.exit_code == 4 and failed.code == "template"
    assert "chat template did not end within 1 s of computing on lines 2 to" in failed.message
    assert attempt.of_kind("started") == []


def test_a_template_that_asks_for_all_memory_fails_the_job_as_a_template(tmp_path: Path) -> None:
    (failed,) = Attempt(job_with(tmp_path, "{{ 'a' * 10 ** 10 }}")).of_kind("failed")
    assert failed.code == "template" and "chat template asked for more than 3 GB of memory" in failed.message


def test_a_template_that_refuses_says_so_and_where(tmp_path: Path) -> None:
    (failed,) = Attempt(job_with(tmp_path, "{{ raise_exception('No cities.') }}")).of_kind("failed")
    assert failed.code == "template" and "Line 2: " in failed.message and "No cities." in failed.message


def test_what_the_work_raises_arrives_as_it_was() -> None:
    def refuse(_allow: limited.Allow) -> None:
        raise TrainingError("data", "Line 7 is odd.", "seven")

    with pytest.raises(TrainingError) as raised:
        run_limited(refuse)
    assert (raised.value.code, raised.value.message, raised.value.evidence) == ("data", "Line 7 is odd.", "seven")


def test_a_mistake_of_ours_stays_one() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run_limited(lambda allow: allow(1 // 0, ""))


def test_more_time_is_allowed_as_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has its own time: together they may take longer than one may."""
    monkeypatch.setattr(limited, "PROCESSOR_SECONDS", 1)

    def work(allow: limited.Allow) -> None:
        for number in range(4):
            allow(1, f"part {number}")
            compute(0.7)

    run_limited(work)


def test_the_part_that_took_too_long_is_named() -> None:
    def work(allow: limited.Allow) -> None:
        allow(5, "part 1")
        allow(1, "part 2")
        compute(60)

    with pytest.raises(OutOfBounds, match="did not end within 1 s of computing on part 2"):
        run_limited(work)


def compute(seconds: float) -> None:
    """For so long by the processor's own clock."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
