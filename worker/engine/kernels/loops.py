"""Loops over the rows of tensors, compiled on first use and run by PyTorch's own threads.

What PyTorch takes several passes over memory for, such a loop does in one. numba compiles it, in half a second, and
keeps it for the next process: where NUMBA_CACHE_DIR says, which a worker sets, else in the user's own cache. A second
pool of threads would fight with PyTorch's for the cores, so the loops are given to the pool that is there: OpenMP's,
which PyTorch has loaded.
"""

import ctypes
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from numba import cfunc, config, types
from torch import Tensor

from worker.engine.kernels.numbers import BF16, FAST, FP32

_KINDS = {torch.bfloat16: BF16, torch.float32: FP32}
Argument = int | float | Tensor | None


def _place() -> str:
    """Where compiled loops are kept; empty for somebody without a home. numba sees when a loop's own file has changed,
    but not what it calls in another, so each state of this folder has a place of its own."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    with suppress(RuntimeError):
        home = Path(config.CACHE_DIR or Path.home() / ".cache" / "graftwork")
        return str(home / f"kernels-{sha256(sources).hexdigest()[:16]}")
    return ""


config.CACHE_DIR = _place()


class Loop:
    """`body(job)` takes rows by `claim` until none is left. The job's slots: the counter, then what it is called with.
    No loop in it both writes and adds up: whether it is taken many numbers at a time would depend on where in memory
    they lie, and the last digit of the sum with it.

    Called with tensors, all of one kind and without gaps, None for one that is not there, whole numbers and others."""

    def __init__(self, body: Callable[[Any], None]) -> None:
        self._body = body

    def __call__(self, dtype: torch.dtype, *arguments: Argument) -> None:
        slots = (ctypes.c_int64 * (1 + len(arguments)))(0, *map(_slot, arguments))
        openmp_parallel()(_compiled(self._body, dtype), slots, torch.get_num_threads(), 0)


def takes(*tensors: Tensor) -> bool:
    """Whether loops can compute with these: in main memory, all in the same numbers, without gaps; and not while
    PyTorch's own compiler looks on."""
    dtype = tensors[0].dtype
    return (
        dtype in _KINDS
        and all(one.dtype == dtype and one.device.type == "cpu" and one.is_contiguous() for one in tensors)
        and not torch.compiler.is_compiling()
        and openmp_parallel() is not None
    )


def _slot(argument: Argument) -> int:
    if isinstance(argument, Tensor):
        return argument.data_ptr()
    if isinstance(argument, float):
        bits: int = struct.unpack("q", struct.pack("d", argument))[0]
        return bits
    return argument or 0


@cache
def _compiled(body: Callable[[Any], None], dtype: torch.dtype) -> int:
    """The address of its machine code."""
    how: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy", "boundscheck": False}
    compiled = None
    with suppress(Exception):  # whatever is wrong with what was kept, or with its place
        compiled = cfunc(types.void(_KINDS[dtype]), cache=bool(config.CACHE_DIR), **how)(body)
    _alive.append(compiled or cfunc(types.void(_KINDS[dtype]), **how)(body))
    return int(_alive[-1].address)


_alive: list[Any] = []
"""Compiled loops: their code goes when they do."""


@cache
def openmp_parallel() -> Any:
    """GNU OpenMP's entry point: run a function, given an address, on so many threads. None where PyTorch runs on
    another library, which only costs time."""
    try:
        run = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):
        return None
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    run.restype = None
    return run
