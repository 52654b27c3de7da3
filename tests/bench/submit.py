"""How long a person waits for a job to be accepted, over HTTP, with a broker that answers, is frozen, and is gone."""

import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.databases import ENGINES, new_database
from tests.faults.stack import FaultStack, running_faults
from tests.faults.wire import Submitter

NUM_SUBMISSIONS = 100


def submit() -> Iterator[str]:
    yield f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}"
    for engine in ENGINES:
        home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
        try:
            with running_faults(home, new_database(engine), workers=0, web=True) as stack:
                person = Submitter(stack)
                yield _line(f"{engine}, broker answers", latencies(person, NUM_SUBMISSIONS))
                yield _line(f"{engine}, broker frozen", frozen_latencies(stack, person, NUM_SUBMISSIONS))
                stack.parts["broker"].kill()
                yield _line(f"{engine}, broker gone", latencies(person, NUM_SUBMISSIONS))
        finally:
            shutil.rmtree(home, ignore_errors=True)


def frozen_latencies(stack: FaultStack, person: Submitter, times: int) -> list[float]:
    stack.parts["broker"].send(signal.SIGSTOP)
    try:
        return latencies(person, times)
    finally:
        stack.parts["broker"].send(signal.SIGCONT)


def latencies(person: Submitter, times: int) -> list[float]:
    """Seconds, in order of size."""
    taken = []
    for _ in range(times):
        began = time.monotonic()
        person.submits("steps=2")
        taken.append(time.monotonic() - began)
    return sorted(taken)


def percentile(ordered: list[float], percent: int) -> float:
    """By rank: of 100 the p99 is the last but one."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _line(what: str, ordered: list[float]) -> str:
    figures = ", ".join(f"p{percent} {percentile(ordered, percent):.3f} s" for percent in (50, 95, 99))
    return f"{what}: {figures}, slowest {ordered[-1]:.3f} s of {len(ordered)}"
