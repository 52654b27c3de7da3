"""A gated feed-forward's gate (SwiGLU, Shazeer 2020, arXiv 2002.05202) in one pass over memory each way."""

from typing import Any

import torch
from torch import Tensor

from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import claim, float32, load, numbers, sigmoid, store, whole

NUMBERS = 4096
"""That a thread takes at a time."""


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """gate * sigmoid(gate) * up, all of one shape."""
    output = torch.empty_like(gate)
    _GATED(gate.dtype, gate.numel(), gate, up, output)
    return output


def gated_back(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of gate and up."""
    d_gate, d_up = torch.empty_like(gate), torch.empty_like(up)
    _BACK(gate.dtype, gate.numel(), grad, gate, up, d_gate, d_up)
    return d_gate, d_up


def _gated(job: Any) -> None:
    count, gate, up, output = whole(job, 1), numbers(job, 2), numbers(job, 3), numbers(job, 4)
    while True:
        begin = claim(job, NUMBERS)
        if begin >= count:
            break
        for one in range(begin, min(begin + NUMBERS, count)):
            x = load(gate, one)
            store(output, one, x * sigmoid(x) * load(up, one))


def _back(job: Any) -> None:
    """One loop for each gradient: of two at once LLVM does not see that neither overwrites what the other reads."""
    count, grad, gate, up = whole(job, 1), numbers(job, 2), numbers(job, 3), numbers(job, 4)
    d_gate, d_up = numbers(job, 5), numbers(job, 6)
    while True:
        begin = claim(job, NUMBERS)
        if begin >= count:
            break
        end = min(begin + NUMBERS, count)
        for one in range(begin, end):
            x = load(gate, one)
            store(d_up, one, load(grad, one) * x * sigmoid(x))
        for one in range(begin, end):
            x = load(gate, one)
            share = sigmoid(x)
            store(d_gate, one, load(grad, one) * load(up, one) * (share + x * share * (float32(1) - share)))


_GATED, _BACK = Loop(_gated), Loop(_back)
