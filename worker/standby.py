"""A child that stands by for a slot's next job with the engine imported: a person waits for a second instead of ten.

It is held as a child with a job is, by the same pipe and the same lock. Whatever is wrong with it, a job starts cold
instead. While it waits it holds about half a gigabyte, so there is none where memory is short.
"""

import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from worker.memory_limit import memory_limit_bytes, memory_used_bytes
from worker.supervisor import Leash, engine_environment, kill_child, start_child

log = logging.getLogger(__name__)

ENGINE, WAITING = "worker.engine", "worker.engine.stand_by"
ROOM_TO_START_BYTES, ROOM_TO_STAY_BYTES = 2_500_000_000, 1_000_000_000
"""Free memory of the machine, or of this container, below which none is started, or the one there is goes."""
AGAIN_SECONDS = 300.0
"""After one that died while it waited: what killed it once will do so again soon."""


class Standby:
    """At most one child, for one thread to ask. `lock` and `variables` are the slot's, `log_path` takes what the child
    says before it has a job, `speed_path` how fast its processor is."""

    def __init__(self, lock: int, variables: Mapping[str, str], log_path: Path, speed_path: Path | None = None) -> None:
        self._leash = Leash(locks=(lock,), more=variables)
        self._log_path, self._speed_path = log_path, speed_path
        if speed_path is not None:
            speed_path.unlink(missing_ok=True)  # of another machine, it may be
        self._child: subprocess.Popen[bytes] | None = None
        self._like: Path | None = None
        self._not_before = 0.0

    def keep(self) -> None:
        """See that one stands by, where there is room for it."""
        if self._is_lost():
            self._not_before = time.monotonic() + AGAIN_SECONDS
        room = ROOM_TO_START_BYTES if self._child is None else ROOM_TO_STAY_BYTES
        if _free_bytes() < room:
            self.end()
        elif self._child is None and time.monotonic() >= self._not_before:
            self._start()

    def take(self, job_dir: Path, leash: Leash) -> subprocess.Popen[bytes] | None:
        """The child, on its way into this job; None where there is none that sees of the machine what the job shall."""
        self._like = job_dir
        if self._is_lost() or self._child is None or leash.more != self._leash.more:
            return None
        child, self._child = self._child, None
        try:
            assert child.stdin is not None
            child.stdin.write(f"{job_dir}\n".encode())
            child.stdin.flush()
        except BrokenPipeError:
            kill_child(child)
            return None
        return child

    def flops_a_second(self) -> float:
        """Of this slot's share of the processor; 0: not measured yet, or not to be."""
        if self._speed_path is None or not self._speed_path.exists():
            return 0.0
        return float(self._speed_path.read_text())

    def end(self) -> None:
        if self._child is not None:
            kill_child(self._child)
            self._child = None

    def _start(self) -> None:
        command = [sys.executable, "-m", WAITING]
        for option, path in (("--like", self._like), ("--speed", self._speed_path)):
            command += [option, str(path)] if path else []
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("wb") as out:
                self._child = start_child(command, out, engine_environment(self._leash.more), self._leash.locks)
        except OSError as error:
            log.warning("no process stands by, jobs start cold: %s", error)
            self._not_before = time.monotonic() + AGAIN_SECONDS

    def _is_lost(self) -> bool:
        """Whether it died while it waited; then it is forgotten."""
        if self._child is None or self._child.poll() is None:
            return False
        log.warning("the process that stood by ended with %s, see %s", self._child.returncode, self._log_path)
        self.end()
        return True


def _free_bytes() -> int:
    limit = memory_limit_bytes()
    return limit - memory_used_bytes(limit)
