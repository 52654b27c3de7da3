"""The processes of one job: the first starts the others, or torchrun started them all, and none outlives the first.

The first is the job: it alone is asked, speaks and writes. The others hold a pipe from it, whose end of file kills
them, and when one of them dies the first ends the same way. Standard library only; what they compute together is in
`process_group.py`.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from webapp.contract.events import Event, PhaseMoved

HERE = "127.0.0.1"
ECHO_SECONDS = 2.0
"""An error may be no more than the echo of another's death. So it is told only when that one would have ended all."""


class Seat(NamedTuple):
    """Whose process this is: `rank` 0 is the first of `size`. `door`: where the first waits for the others, unless it
    is torchrun that brings them together."""

    rank: int = 0
    size: int = 1
    door: socket.socket | None = None

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def seat_taken() -> Seat:
    """By what torchrun, or the first of our own processes, has put into the environment; alone without."""
    return Seat(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


def die_with_the_first() -> None:
    """For one that the first has started: standard input ends when that one does, however it ends."""

    def listen() -> None:
        while os.read(0, 64):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()


def leave_at_once(code: int) -> NoReturn:
    """For one of the others: its connections close when it is gone, not while Python tidies up, which the first would
    take for an error of its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait_for_echo(seat: Seat) -> None:
    """Before an error is told. Returns only if it is this process's own."""
    if seat.size > 1:
        time.sleep(ECHO_SECONDS)


class Others:
    """All processes of a job but the first, started and watched by it."""

    def __init__(self, job_dir: Path, size: int, report: Callable[[Event], None]) -> None:
        self._size, self._report = size, report
        self._is_over = threading.Event()
        if sys.platform == "linux":
            # They are on one machine: nobody on its network can speak with them, nor need its name be known there.
            for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(name, "lo")
        self._ending = threading.Lock()
        door = socket.create_server((HERE, 0), backlog=size)
        self.seat = Seat(0, size, door)
        self._children = [self._start(job_dir, rank, door.getsockname()[1]) for rank in range(1, size)]
        for rank, child in enumerate(self._children, start=1):
            threading.Thread(target=self._watch, args=[rank, child], daemon=True).start()

    def close(self) -> None:
        """The job is over, for better or worse: those that have not left by themselves are killed."""
        self._is_over.set()
        for child in self._children:
            child.kill()
            child.wait()

    def _start(self, job_dir: Path, rank: int, port: int) -> subprocess.Popen[bytes]:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self._size, "MASTER_ADDR": HERE, "MASTER_PORT": port}
        return subprocess.Popen(
            [sys.executable, "-m", "worker.engine", str(job_dir), "--follows"],
            stdin=subprocess.PIPE,
            env={**os.environ, **{name: str(value) for name, value in place.items()}},
            close_fds=False,  # The slot's lock goes on to it, as it came to us.
        )

    def _watch(self, rank: int, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        if code == 0:
            return  # The first has said that training is over; it may measure for hours yet.
        with self._ending:
            if not self._is_over.is_set():
                self._end_with(rank, code)

    def _end_with(self, rank: int, code: int) -> None:
        """As that one ended, so that whoever looks at the first sees how the job died."""
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with code {code}"
        sentence = f"Process {rank + 1} of {self._size} ended {how}, so the others end as well."
        sys.stderr.write(f"{sentence}\n")  # The log's last line is what people are shown.
        sys.stderr.flush()
        with suppress(OSError):
            self._report(PhaseMoved(phase="training", sentence=sentence))
        for child in self._children:
            child.kill()
        if code < 0:
            os.kill(os.getpid(), -code)
        os._exit(abs(code))
