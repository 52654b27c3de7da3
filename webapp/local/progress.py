"""What `manage.py demo` says while it works: a bar on a terminal, lines elsewhere, and never silence for long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

SILENCE_SECONDS = 3.0
"""After so long without a word the last one is said again, with how long it has been true."""

Say = Callable[[str], None]


class Lines:
    """Prints what is being done as lines: each new sentence at once, the same one again every SILENCE_SECONDS."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._doing = self._detail = ""
        self._since = self._said_at = clock()
        self._lock = threading.Lock()

    def __call__(self, doing: str, detail: str = "") -> None:
        """`detail` changes often, so it is said only with a new `doing` or when a word is due."""
        with self._lock:
            now = self._clock()
            self._detail = detail
            if doing != self._doing:
                self._doing, self._since = doing, now
                self._print(detail)
            elif now - self._said_at >= SILENCE_SECONDS:
                self._print(detail or f"{now - self._since:.0f} s so far")

    def again(self) -> None:
        """Say what is being done once more if a word is due."""
        if self._doing:
            self(self._doing, self._detail)

    def rest(self) -> None:
        """Nothing is said again until there is something new: a bar shows what is being done."""
        with self._lock:
            self._doing = ""

    def _print(self, detail: str) -> None:
        self._console.print(f"{self._doing} ({detail})" if detail else self._doing, soft_wrap=True)
        self._said_at = self._clock()


@contextmanager
def never_silent(lines: Lines) -> Iterator[None]:
    """Repeats the last line when it is due, for as long as the block runs: while a step itself cannot say anything."""
    end = threading.Event()

    def repeat() -> None:
        while not end.wait(SILENCE_SECONDS / 4):
            lines.again()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def job_progress(console: Console, lines: Lines) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields what shows a job's state, as the app tells it: a bar on a terminal, else lines."""
    if not console.is_terminal:
        yield lambda job: lines(*_in_words(job))
        return
    lines.rest()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Waiting for the worker.", total=None, left="")

        def show(job: dict[str, Any]) -> None:
            live = job["live"]
            doing = live["sentence"] or f"The job is {job['state']}."
            left = _time_left(live["seconds_left"])
            progress.update(bar, description=doing, completed=live["done"], total=live["total"] or None, left=left)

        yield show


_LASTING = {"preparing": "Fetching and unpacking the base model.", "training": "Training."}
"""Phases whose own sentence changes all the time."""


def _in_words(job: dict[str, Any]) -> tuple[str, str]:
    """What is being done, without figures that change by the second, and those figures."""
    live = job["live"]
    sentence = live["sentence"] or f"The job is {job['state']}."
    doing = {"preparing": "Fetching and unpacking the base model.", "training": "Training."}.get(
        live["phase"], sentence
    )
    detail = [sentence] if doing != sentence else []
    return doing, ", ".join([*detail, *filter(None, [_time_left(live["seconds_left"])])])


def _time_left(seconds: float | None) -> str:
    return "" if seconds is None else f"about {int(seconds) // 60}:{int(seconds) % 60:02d} left"
