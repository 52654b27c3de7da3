"""Dropout's dice for loops: what is dropped follows from one number that was drawn and from where a number lies, so
that the backward pass throws the same again and nothing is kept.

Each place's number goes through SplitMix64's finisher (Steele, Lea and Flood 2014).
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from worker.engine.kernels.numbers import FAST, float32

_SIDES = 2**31
_WEYL, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _33 = (np.uint64(shift) for shift in (30, 27, 31, 33))


def drawn() -> Tensor:
    """The number (1,) that all of one dropout follows from, by PyTorch's own dice."""
    return torch.empty(1, dtype=torch.int64).random_(-(2**63), None)


def sides(dropout: float) -> int:
    """How many of the dice's are dropped."""
    return min(round(dropout * _SIDES), _SIDES - 1)


@njit(inline="always", fastmath=FAST)
def share(start: Any, index: Any, dropped: Any) -> Any:
    """What to multiply the number at `index` by: 0 where it is dropped, else so much that the mean stays 1."""
    bits = np.uint64(start) + np.uint64(index) * _WEYL
    bits = (bits ^ (bits >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    thrown = np.int32((bits ^ (bits >> _31)) >> _33)
    return float32(0) if thrown < np.int32(dropped) else float32(1) / (float32(1) - float32(dropped) / float32(_SIDES))
