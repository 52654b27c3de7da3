"""The control pipe: how the supervisor, whose child this is, says stop, or by vanishing, die. Standard library only."""

import os
import signal
import threading
from collections.abc import Callable


def never() -> bool:
    """For a run by hand, which nobody can ask to stop."""
    return False


def control_pipe() -> Callable[[], bool]:
    """Listen on standard input from now on; the returned question says whether a stop was asked for.

    An `S` asks. End of file means that the supervisor is gone: the whole process group is killed at once, so that
    nothing this process started lives on either.
    """
    asked = threading.Event()
    threading.Thread(target=_listen, args=[asked], daemon=True).start()
    return asked.is_set


def _listen(asked: threading.Event) -> None:
    # Read past Python's buffered stdin: its lock, held here for ever, would abort the interpreter when it shuts down.
    while said := os.read(0, 64):
        if b"S" in said:
            asked.set()
    os.killpg(0, signal.SIGKILL)
