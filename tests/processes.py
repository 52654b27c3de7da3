"""Whether a process is dead, or soon."""

import time

import psutil


def is_gone(pid: int) -> bool:
    """Reaped or not: an orphan waits for the machine's first process to reap it, and some look only every 2 s."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def goes(pid: int, within: float = 5.0) -> bool:
    """A killed process that is not our own child leaves when the kernel gets to it. `within`: seconds."""
    deadline = time.monotonic() + within
    while not (gone := is_gone(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone
