"""The one exception for what the person or the world got wrong; anything else that flies is a bug of ours.

Also which foreign exceptions mean a full disk or too little memory: libraries say so in many ways.
"""

import errno
import os
from collections.abc import Iterator

from webapp.contract.failures import EngineFailure

_STORAGE_FULL = {number: os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}
_MEMORY_WORDS = (
    "out of memory", "not enough memory", "allocate memory", "bad_alloc", "bad allocation", "STATUS_ALLOC_FAILED",
)  # fmt: skip
"""torch says so in words alone on the CPU (DefaultCPUAllocator), C++ libraries by the name of their exception, cuBLAS
by its status."""


class TrainingError(Exception):
    """Ends the job with a Failed event. `message`: what happened, where, what to do. `evidence`: what shows it."""

    def __init__(self, code: EngineFailure, message: str, evidence: str = "") -> None:
        super().__init__(message)
        self.code: EngineFailure = code
        self.message = message
        self.evidence = evidence


class Stop(Exception):
    """A stop was asked for and heeded; `step` is the last one done."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def is_storage_full(error: BaseException) -> bool:
    """safetensors wraps the system's words in an exception of its own."""
    return any(
        (isinstance(one, OSError) and one.errno in _STORAGE_FULL)
        or any(words in str(one) for words in _STORAGE_FULL.values())
        for one in _chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    return any(
        isinstance(one, MemoryError) or any(words in str(one) for words in _MEMORY_WORDS) for one in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
