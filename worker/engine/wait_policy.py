"""Choose while a job runs how OpenMP's threads wait for each other: spinning on a quiet machine, asleep on a busy one.

GNU OpenMP's threads spin for about 3 ms at each barrier before they sleep, which is quickest as long as each has a
core to itself. Beside another busy program a thread that spins keeps the core from the very thread that it waits for,
and a step takes three to eighteen times as long. How long they spin is read from the environment when the library is
loaded, but the library itself spins only for a moment while it manages more threads than there are processors
(libgomp's `gomp_throttled_spin_count_var`, config/linux/wait.h). So a second team that sleeps, started by a thread
that sleeps, is the switch, and its end switches back. What is computed, on which threads and in which order stays the
same, so a job's numbers do not depend on it.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psutil
import torch

from webapp.contract.events import Event, WaitPolicyChanged
from worker.engine.kernels.loops import openmp_parallel

SAMPLE_SECONDS = 1.0
FIRST_SAMPLE_SECONDS = 0.3
"""The first look is short, so that a job beside others does not begin with steps that take many times as long."""
BUSY_CORES, QUIET_CORES = 0.4, 0.2
"""Processor time that others take of the cores this job's threads need, in cores. Between both, all stays as it is."""
QUIET_SAMPLES = 5
"""So many quiet samples in a row end it: programs pause."""
MOST_EVENTS = 20
"""After these a job's history has enough of them."""


class ProcessorTime(NamedTuple):
    """Seconds since some moment: by the clock, of all programs on this process's processors, and its own."""

    clock: float
    everybody: float
    own: float


def processor_time() -> ProcessorTime:
    each = psutil.cpu_times(percpu=True)
    everybody = sum(one.user + one.nice + one.system for cpu, one in enumerate(each) if cpu in _processors())
    own = psutil.Process().cpu_times()
    return ProcessorTime(time.monotonic(), everybody, own.user + own.system)


def cores_of_others(before: ProcessorTime, now: ProcessorTime) -> float:
    """The cores' worth of processor time that other programs took in between."""
    others = (now.everybody - before.everybody) - (now.own - before.own)
    return max(0.0, others / max(now.clock - before.clock, 1e-9))


class BusyDetector:
    """Decides from what others take of `num_processors` whether `num_threads` of ours are in their way."""

    def __init__(self, num_processors: int, num_threads: int) -> None:
        self._spare = num_processors - num_threads
        self._num_quiet = 0
        self.is_busy = False

    def update(self, others: float) -> bool:
        """Returns whether the machine is busy now, given the cores that others took since the last call."""
        needed = others - self._spare
        self._num_quiet = self._num_quiet + 1 if needed < QUIET_CORES else 0
        if needed > BUSY_CORES:
            self.is_busy = True
        elif self._num_quiet >= QUIET_SAMPLES:
            self.is_busy = False
        return self.is_busy


class SleepingTeam:
    """A second team of OpenMP threads that does nothing: while it is there, all teams of this process stop spinning."""

    def __init__(self, parallel: Any, num_threads: int) -> None:
        self._end = threading.Event()
        started = threading.Event()

        def hold() -> None:
            # free(NULL) does nothing, as C has it, and needs no Python in the team's threads.
            parallel(ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p), None, num_threads, 0)
            started.set()
            self._end.wait()  # OpenMP ends a team with the thread that started it

        self._thread = threading.Thread(target=hold, name="sleeping OpenMP team", daemon=True)
        self._thread.start()
        started.wait()

    def end(self) -> None:
        self._end.set()
        self._thread.join()


@contextmanager
def adapted_waiting(report: Callable[[Event], None]) -> Iterator[None]:
    """Adapt the waiting to the machine for as long as the block runs; each change is reported as an event.

    Does nothing where PyTorch does not run on GNU's OpenMP, where a person has set a policy in the environment, where
    there is one thread, which waits for nobody, or where a card does the work.
    """
    parallel = openmp_parallel()
    is_set = any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"))
    if parallel is None or is_set or torch.get_num_threads() == 1 or torch.cuda.is_available():
        yield
        return
    end = threading.Event()
    watch = threading.Thread(target=_watch, args=(parallel, end, report), name="wait policy", daemon=True)
    watch.start()
    try:
        yield
    finally:
        end.set()
        watch.join()


def _watch(parallel: Any, end: threading.Event, report: Callable[[Event], None]) -> None:
    num_processors, num_threads = len(_processors()), torch.get_num_threads()
    detector = BusyDetector(num_processors, num_threads)
    team: SleepingTeam | None = None
    num_events = 0
    before = processor_time()
    seconds = FIRST_SAMPLE_SECONDS
    while not end.wait(seconds):
        now = processor_time()
        others, before, seconds = cores_of_others(before, now), now, SAMPLE_SECONDS
        is_busy = detector.update(others)
        if is_busy == (team is not None):
            continue
        if team is None:
            # Together with the training's own team more than there are processors.
            team = SleepingTeam(parallel, num_processors - num_threads + 2)
        else:
            team.end()
            team = None
        if num_events < MOST_EVENTS:
            num_events += 1
            with suppress(OSError):  # a full disk ends the job with words of its own
                report(WaitPolicyChanged(policy="sleep" if is_busy else "spin", cores_of_others=round(others, 1)))
    if team is not None:
        team.end()


def _processors() -> set[int]:
    """Those that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
