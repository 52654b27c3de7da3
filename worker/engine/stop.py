"""The control pipe: how the supervisor, whose child this is, asks for an end, or by vanishing, kills.

Standard library only. What each word means for a training is decided in `fit.py` and `train.py`.
"""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

Wanted = Literal["go_on", "stop", "keep", "cancel"]
"""stop: save a checkpoint and end. keep: train no further, but measure and save. cancel: end, keep nothing."""

Asking = Callable[[], Wanted]

LETTERS: dict[bytes, Wanted] = {b"C": "cancel", b"S": "stop", b"K": "keep"}
"""The stronger word first: once a cancel was asked for, nothing less is heard."""


def never() -> Wanted:
    """For a run by hand, which nobody can ask to stop."""
    return "go_on"


def control_pipe() -> Asking:
    """Listen on standard input from now on; the returned question says what is wanted by now.

    End of file means that the supervisor is gone: the whole process group is killed at once, so that nothing this
    process started lives on either.
    """
    heard: set[bytes] = set()
    threading.Thread(target=_listen, args=[heard], daemon=True).start()
    return lambda: strongest(heard)


def control_pipe_of_a_job() -> tuple[Future[str], Asking]:
    """As `control_pipe`, where the first line is yet to come that says what this process is for."""
    line: Future[str] = Future()
    heard: set[bytes] = set()
    threading.Thread(target=_listen, args=[heard, line], daemon=True).start()
    return line, lambda: strongest(heard)


def strongest(heard: set[bytes]) -> Wanted:
    return next((word for letter, word in LETTERS.items() if letter in heard), "go_on")


def _listen(heard: set[bytes], line: Future[str] | None = None) -> None:
    # Read past Python's buffered stdin: its lock, held here for ever, would abort the interpreter when it shuts down.
    begun = b""
    while said := os.read(0, 4096):
        if line is not None and not line.done():
            begun, newline, said = (begun + said).partition(b"\n")
            if not newline:
                continue
            line.set_result(begun.decode())
        heard.update(letter for letter in LETTERS if letter in said)
    os.killpg(0, signal.SIGKILL)
