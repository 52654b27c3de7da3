"""Starts a training child, watches it, stops it. Knows processes and event lines; knows no database and no queue.

The child runs in its own session. Its standard input is the leash: a letter asks something of it, end of file tells
it that the supervisor is gone, upon which it kills its own process group. So nothing outlives a killed worker. The
slot's lock is handed on to it: whoever wants the slot next waits until the child, too, is gone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from webapp.contract.events import Event, read_events
from webapp.contract.job_dir import EVENTS, LOG
from worker.memory_kills import memory_kills

Order = Literal["go_on", "keep", "stop", "cancel", "kill"]
"""Each outweighs those before it; what was ordered stays ordered. A stopped child saves a checkpoint, a cancelled
one does not, one that keeps ends training early and goes on to measure and save."""
Tick = Callable[[list[Event]], Order]
"""Called about once a second with the new events, maybe none; says what shall happen to the child."""

_WEIGHT: dict[Order, int] = {"go_on": 0, "keep": 1, "stop": 2, "cancel": 3, "kill": 4}
_LETTER: dict[Order, bytes] = {"keep": b"K", "stop": b"S", "cancel": b"C"}

TICK_SECONDS = 0.5
_PROJECT_DIR = Path(__file__).resolve().parent.parent
_ENGINE_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ENGINE_PREFIXES = (
    "LC_",
    "OMP_",
    "GOMP_",
    "MKL_",
    "OPENBLAS_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "GLOO_",
    "GRAFTWORK_STUB_",
)
_NETWORK_PREFIXES = ("SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy")
_INDEX_PREFIXES = ("PIP_", "XDG_", *_NETWORK_PREFIXES)
_HUB_PREFIXES = ("HF_ENDPOINT", "HF_HUB_OFFLINE", *_NETWORK_PREFIXES)


@dataclass(frozen=True)
class Leash:
    """How a child is held. Seconds; `locks` are open descriptors it inherits, `more` are variables of its slot."""

    stop_grace: float = 30.0
    stall: float = 1800.0
    locks: tuple[int, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)


class Outcome(NamedTuple):
    """How a child ended. `exit_code` is negative for the signal that killed it; `why_killed` is empty unless the
    supervisor did; `out_of_memory` is the kernel's word."""

    exit_code: int
    last_order: Order
    why_killed: Literal["", "ordered", "deaf", "stalled"] = ""
    out_of_memory: bool = False


def run_engine(
    job_dir: Path, tick: Tick, leash: Leash, *, module: str, waiting: subprocess.Popen[bytes] | None = None
) -> Outcome:
    """Train: `python -m worker.engine`, or a child that stood by and is on its way into the job already. It sees no
    secret and no address of ours."""
    return _run(_command(module, str(job_dir)), job_dir, engine_environment(leash.more), tick, leash, waiting=waiting)


def run_base_model_fetch(model_id: str, destination: Path, job_dir: Path, tick: Tick, leash: Leash) -> Outcome:
    """Fetch and convert a starter model. The child may read the package index's settings."""
    command = _command("worker.base_models", model_id, str(destination), "--events", str(job_dir / EVENTS))
    return _run(command, job_dir, engine_environment(leash.more, _INDEX_PREFIXES), tick, leash)


def run_errand(
    module: str, folder: Path, tick: Tick, leash: Leash, *, first_line: str = "", asks_hub: bool = False
) -> Outcome:
    """Small work for a page. `first_line` is the first thing the child reads, before all orders, and lies nowhere."""
    environment = engine_environment(leash.more, _HUB_PREFIXES if asks_hub else ())
    return _run([sys.executable, "-m", module, str(folder)], folder, environment, tick, leash, first_line)


def _command(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words, "--supervised"]


def _run(
    command: Sequence[str],
    job_dir: Path,
    environment: Mapping[str, str],
    tick: Tick,
    leash: Leash,
    first_line: str | None = None,
    waiting: subprocess.Popen[bytes] | None = None,
) -> Outcome:
    offset = (job_dir / EVENTS).stat().st_size if (job_dir / EVENTS).exists() else 0
    kills_before = memory_kills()
    if waiting is not None:
        child = waiting
    else:
        with (job_dir / LOG).open("ab") as log:
            child = start_child(command, log, environment, leash.locks)
    try:
        if first_line is not None:
            _say(child, first_line.encode() + b"\n")
        outcome = _Watch(child, job_dir / EVENTS, offset, leash).until_it_ends(tick)
    finally:
        kill_child(child)
    was_killed = outcome.exit_code == -signal.SIGKILL and not outcome.why_killed
    return outcome._replace(out_of_memory=was_killed and memory_kills() > kills_before)


def start_child(
    command: Sequence[str], out: BinaryIO, environment: Mapping[str, str], locks: Sequence[int]
) -> subprocess.Popen[bytes]:
    """In a session of its own, its standard input in our hands."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=out,
        cwd=_PROJECT_DIR,
        env=environment,
        start_new_session=True,
        pass_fds=locks,
    )
    _offer_to_the_kernel(child.pid)
    return child


class _Watch:
    """One child from its start to its end."""

    def __init__(self, child: subprocess.Popen[bytes], events_path: Path, offset: int, leash: Leash) -> None:
        self.child, self.events_path, self.offset, self.leash = child, events_path, offset, leash
        self.order: Order = "go_on"
        self.asked_at: float | None = None
        self.heard_at = time.monotonic()
        self.why_killed: Literal["", "ordered", "deaf", "stalled"] = ""

    def until_it_ends(self, tick: Tick) -> Outcome:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(TICK_SECONDS)
            # Whether it has ended is asked before its events are read, so that its last words are never missed.
            code = self.child.poll()
            events, self.offset = read_events(self.events_path, self.offset)
            if events:
                self.heard_at = time.monotonic()
            order = tick(events)
            if code is not None:
                return Outcome(code, self.order, self.why_killed)
            self._obey(order)
            self._end_if_due()

    def _obey(self, order: Order) -> None:
        if _WEIGHT[order] <= _WEIGHT[self.order]:
            return
        self.order = order
        if order == "kill":
            self._end("ordered")
            return
        # One that keeps has its rows to measure yet; only to stop there is a time.
        if order != "keep" and self.asked_at is None:
            self.asked_at = time.monotonic()
        _say(self.child, _LETTER[order] + b"\n")

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if self.asked_at is not None and now - self.asked_at > self.leash.stop_grace:
            self._end("deaf")
        elif now - self.heard_at > self.leash.stall:
            self._end("stalled")

    def _end(self, why: Literal["ordered", "deaf", "stalled"]) -> None:
        self.why_killed = self.why_killed or why
        kill_child(self.child)


def _say(child: subprocess.Popen[bytes], words: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(words)
        child.stdin.flush()


def kill_child(child: subprocess.Popen[bytes]) -> None:
    """Kill the child with all it started, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _offer_to_the_kernel(pid: int) -> None:
    """When memory runs out the kernel shall take the child, not the worker that looks after it. Linux only."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")


def engine_environment(slot: Mapping[str, str], more_prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """An allow-list: what is not named here, the child does not see."""
    prefixes = _ENGINE_PREFIXES + more_prefixes
    seen = {name: value for name, value in os.environ.items() if name in _ENGINE_VARIABLES or name.startswith(prefixes)}
    return {**seen, **slot}
