"""What the demo says: each phase at once, and never silence for long, also where its output is no terminal."""

import io
from typing import Any

from rich.console import Console

from webapp.local.progress import SILENCE_SECONDS, Lines, job_progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, highlight=False), out


def job(phase: str, sentence: str, seconds_left: float | None = None) -> dict[str, Any]:
    return {"state": "running", "live": {"phase": phase, "sentence": sentence, "seconds_left": seconds_left}}


def test_what_is_new_is_said_at_once_and_what_lasts_when_a_word_is_due() -> None:
    place, out = console()
    clock = Clock()
    lines = Lines(place, clock)
    lines("Starting.")
    for _ in range(40):
        clock.now += SILENCE_SECONDS / 4
        lines.again()
    said = out.getvalue().splitlines()
    assert said[0] == "Starting." and said[1] == f"Starting. ({SILENCE_SECONDS:g} s so far)"
    assert len(said) == 1 + 10
    lines("Stopping.")
    assert out.getvalue().splitlines()[-1] == "Stopping."


def test_a_job_s_phases_are_lines_where_there_is_no_terminal() -> None:
    place, out = console()
    clock = Clock()
    with job_progress(place, Lines(place, clock)) as show:
        show(job("preparing", "Fetching SmolLM2, once: 3 of 93 MB."))
        show(job("preparing", "Fetching SmolLM2, once: 60 of 93 MB."))
        clock.now += SILENCE_SECONDS
        show(job("preparing", "Unpacking SmolLM2, once."))
        show(job("training", "Training: step 1 of 54.", 65))
        show(job("measuring_base", "Measuring the base model on 60 held-out rows."))
    assert out.getvalue().splitlines() == [
        "Fetching and unpacking the base model. (Fetching SmolLM2, once: 3 of 93 MB.)",
        "Fetching and unpacking the base model. (Unpacking SmolLM2, once.)",
        "Training. (Training: step 1 of 54., about 1:05 left)",
        "Measuring the base model on 60 held-out rows.",
    ]


def test_beside_a_bar_no_line_is_said_again() -> None:
    out = io.StringIO()
    place = Console(file=out, force_terminal=True, width=100)
    clock = Clock()
    lines = Lines(place, clock)
    lines("Uploading.")
    with job_progress(place, lines) as show:
        clock.now += 10 * SILENCE_SECONDS
        lines.again()
        show({"state": "running", "live": {"sentence": "Training.", "seconds_left": 5, "done": 1, "total": 2}})
    assert out.getvalue().count("Uploading.") == 1 and "about 0:05 left" in out.getvalue()
