"""Cross entropy of logits in 16 bits, computed in 32, without a copy of them in 32."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import (
    claim,
    exponential,
    float32,
    larger,
    load,
    numbers,
    singles,
    store,
    whole,
    wholes,
)


def losses_of(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """logits (N, V), targets (N,) -> losses (N,), and the logarithms (N,) of sums of exponentials, in fp32."""
    count, width = logits.shape
    losses, sums = torch.empty(count), torch.empty(count)
    _LOSSES(logits.dtype, count, width, logits, targets, losses, sums)
    return losses, sums


def losses_back(grad: Tensor, logits: Tensor, targets: Tensor, sums: Tensor) -> Tensor:
    """Gradient of the logits from that of the losses (N,) in fp32."""
    count, width = logits.shape
    output = torch.empty_like(logits)
    _BACK(logits.dtype, count, width, logits, targets, grad, sums, output)
    return output


def _losses(job: Any) -> None:
    count, width, logits, targets = whole(job, 1), whole(job, 2), numbers(job, 3), wholes(job, 4)
    losses, sums = singles(job, 5), singles(job, 6)
    while True:
        row = claim(job, 1)
        if row >= count:
            break
        at, largest, total = row * width, float32(-np.inf), float32(0)
        for one in range(at, at + width):
            largest = larger(largest, load(logits, one))
        for one in range(at, at + width):
            total += exponential(load(logits, one) - largest)
        sums[row] = largest + np.log(total)
        losses[row] = sums[row] - load(logits, at + targets[row])


def _back(job: Any) -> None:
    count, width, logits, targets = whole(job, 1), whole(job, 2), numbers(job, 3), wholes(job, 4)
    grad, sums, output = singles(job, 5), singles(job, 6), numbers(job, 7)
    while True:
        row = claim(job, 1)
        if row >= count:
            break
        at, its, sum_ = row * width, grad[row], sums[row]
        for one in range(at, at + width):
            store(output, one, exponential(load(logits, one) - sum_) * its)
        target = at + targets[row]
        store(output, target, (exponential(load(logits, target) - sum_) - float32(1)) * its)


_LOSSES, _BACK = Loop(_losses), Loop(_back)
