"""The control pipe: how the supervisor, whose child this is, says stop, or by vanishing, die. Standard library only."""

import os
import signal
import sys
import threading
from collections.abc import Callable


def never() -> bool:
    """For a run by hand, which nobody can ask to stop."""
    return False


def control_pipe() -> Callable[[], bool]:
    """Listen on standard input from now on; the returned question says whether a stop was asked for.

    A line `S` asks. End of file means that the supervisor is gone: the whole process group is killed at once, so that
    nothing this process started lives on either.
    """
    asked = threading.Event()
    threading.Thread(target=_listen, args=[asked], daemon=True).start()
    return asked.is_set


def _listen(asked: threading.Event) -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        if line.strip() == b"S":
            asked.set()
    os.killpg(0, signal.SIGKILL)
