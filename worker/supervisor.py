"""Starts a training child, watches it, stops it. Knows processes and event lines; knows no database and no queue.

The child runs in its own session. Its standard input is the leash: a line `S` asks it to stop, end of file tells it
that the supervisor is gone, upon which it kills its own process group. So nothing outlives a killed worker.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from webapp.contract.events import Event, read_events
from webapp.contract.job_dir import EVENTS, LOG

Order = Literal["go_on", "stop", "kill"]
Tick = Callable[[list[Event]], Order]
"""Called about once a second with the new events, maybe none; says what shall happen to the child."""

TICK_SECONDS = 1.0
STOP_GRACE_SECONDS = 8.0
"""A child that was asked to stop and has not after this long is killed."""

_PROJECT_DIR = Path(__file__).resolve().parent.parent
_ENGINE_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ENGINE_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_")
_INDEX_PREFIXES = ("PIP_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY", "http_", "https_", "no_proxy", "XDG_")


class Outcome(NamedTuple):
    """How a child ended. `exit_code` is negative for the signal that killed it."""

    exit_code: int
    last_order: Order


def run_engine(job_dir: Path, tick: Tick) -> Outcome:
    """Train: `python -m worker.engine`. The child sees no secret and no address of ours."""
    return _run(_command("worker.engine", str(job_dir)), job_dir, _environment(), tick)


def run_base_model_fetch(model_id: str, destination: Path, job_dir: Path, tick: Tick) -> Outcome:
    """Fetch and convert a starter model. The child may read the package index's settings."""
    command = _command("worker.base_models", model_id, str(destination), "--events", str(job_dir / EVENTS))
    return _run(command, job_dir, _environment(_INDEX_PREFIXES), tick)


def _command(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words, "--supervised"]


def _run(command: list[str], job_dir: Path, environment: Mapping[str, str], tick: Tick) -> Outcome:
    offset = (job_dir / EVENTS).stat().st_size if (job_dir / EVENTS).exists() else 0
    with (job_dir / LOG).open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=_PROJECT_DIR,
            env=environment,
            start_new_session=True,
        )
    try:
        return _watch(child, job_dir / EVENTS, offset, tick)
    finally:
        _kill(child)


def _watch(child: subprocess.Popen[bytes], events_path: Path, offset: int, tick: Tick) -> Outcome:
    asked_at: float | None = None
    order: Order = "go_on"
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(TICK_SECONDS)
        # Whether it has ended is asked before its events are read, so that its last words are never missed.
        has_ended = child.poll() is not None
        events, offset = read_events(events_path, offset)
        new_order = tick(events)
        if has_ended:
            assert child.returncode is not None
            return Outcome(child.returncode, order)
        order = new_order if order == "go_on" else order
        if order == "stop" and asked_at is None:
            asked_at = time.monotonic()
            _ask_to_stop(child)
        if order == "kill" or (asked_at is not None and time.monotonic() - asked_at > STOP_GRACE_SECONDS):
            _kill(child)


def _ask_to_stop(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"S\n")
        child.stdin.flush()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child with all it started, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _environment(more_prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """An allow-list: what is not named here, the child does not see."""
    prefixes = _ENGINE_PREFIXES + more_prefixes
    return {name: value for name, value in os.environ.items() if name in _ENGINE_VARIABLES or name.startswith(prefixes)}
