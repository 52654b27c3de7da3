"""Whether a process is dead, or soon; what it was started with; and Ctrl-C for what tests start."""

import signal
import time

import psutil


def hear_ctrl_c() -> None:
    """Give this process, and so all that it starts, the usual handler of SIGINT.

    A CI runner's `nohup … &` starts the tests with SIGINT ignored; what they start would inherit that, and `up` would
    not end by the SIGINT that a test sends.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def environment_of(pid: int) -> dict[str, str]:
    """Returns what a process was started with. Right after its start the kernel has nothing to show yet, or still the
    environment of the process it was forked from."""
    process, deadline = psutil.Process(pid), time.monotonic() + 60
    ours = psutil.Process().environ()
    while not (environment := process.environ()) or environment == ours:
        assert time.monotonic() < deadline, "it was never started"
        time.sleep(0.01)
    return environment


def is_gone(pid: int) -> bool:
    """Reaped or not: an orphan waits for the machine's first process to reap it, and some look only every 2 s."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def goes(pid: int, within: float = 60.0) -> bool:
    """A killed process that is not our own child leaves when the kernel gets to it. `within`: seconds."""
    deadline = time.monotonic() + within
    while not (gone := is_gone(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone
