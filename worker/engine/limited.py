"""Runs work in a process of its own with little time and memory: a chat template is a program that a stranger wrote,
and a tokenizer's expressions are not much less. Whatever they do, the kernel ends it there, and the job says why.

The process is forked, so that it has everything loaded; it computes no tensors and shares nothing it changes.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from worker.engine.errors import TrainingError, is_storage_full

PROCESSOR_SECONDS = 30
"""Of computing, for a preview's sample of rows; a job has as much for as many rows."""
MEMORY_BYTES = 3 << 30
"""Beyond what is in memory already. The largest tokenizers need a third of it."""

Allow = Callable[[int, str], None]
"""`allow(seconds, what)`: from now on the work may compute for so long, on `what`, as in “lines 2 to 513”."""


class OutOfBounds(Exception):
    """The work took more than it may; `why` is the end of a sentence, as in “did not end within 30 s on line 2”."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def run_limited(work: Callable[[Allow], None]) -> None:
    """Do the work and wait for its end. Raises OutOfBounds, and what the work raises: TrainingError, a full disk's
    OSError, or RuntimeError for a mistake of ours."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().splitlines()
    _pid, status = os.waitpid(child, 0)
    told = [json.loads(line) for line in lines]
    _raise_for(os.waitstatus_to_exitcode(status), told)


def _raise_for(code: int, told: list[dict[str, str]]) -> None:
    if code == 0:
        return
    seconds, what = next(((one["seconds"], one["what"]) for one in reversed(told) if "what" in one), ("", "its start"))
    failure = next((one for one in told if "kind" in one), {"kind": ""})
    if code == -signal.SIGXCPU:
        raise OutOfBounds(f"did not end within {seconds} s of computing on {what}")
    if failure["kind"] == "memory" or code in (-signal.SIGABRT, -signal.SIGSEGV):
        raise OutOfBounds(f"asked for more than {MEMORY_BYTES >> 30} GB of memory on {what}")
    if failure["kind"] == "training":
        raise TrainingError(failure["code"], failure["message"], failure["evidence"])  # type: ignore[arg-type]
    if failure["kind"] == "storage":
        raise OSError(int(failure["code"]), failure["message"])
    if code == -signal.SIGKILL:
        raise MemoryError("The process that reads the rows was killed: most likely the machine's memory ran out.")
    raise RuntimeError(failure.get("message") or f"The process that reads the rows ended with code {code}.")


def _be_the_child(work: Callable[[Allow], None], writing: int) -> NoReturn:
    """Never returns into the parent's program."""

    def tell(told: dict[str, str]) -> None:
        os.write(writing, json.dumps(told).encode() + b"\n")

    def allow(seconds: int, what: str) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, hard))
        tell({"seconds": str(seconds), "what": what})

    code = 1
    try:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY_BYTES, hard))
        allow(PROCESSOR_SECONDS, "its start")
        work(allow)
        code = 0
    except BaseException as error:
        tell(_told(error))
        if not isinstance(error, TrainingError):
            traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _told(error: BaseException) -> dict[str, str]:
    if isinstance(error, TrainingError):
        return {"kind": "training", "code": error.code, "message": error.message, "evidence": error.evidence}
    if isinstance(error, MemoryError):
        return {"kind": "memory"}
    if is_storage_full(error):
        number = error.errno if isinstance(error, OSError) and error.errno else 28
        return {"kind": "storage", "code": str(number), "message": os.strerror(number)}
    return {"kind": "bug", "message": f"{type(error).__name__}: {error}"[:500]}


def _address_space() -> int:
    """Bytes that this process has mapped by now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
