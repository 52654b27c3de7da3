"""Root mean square norm in one pass over memory each way; a block's sum before it, and what goes around it in the
backward pass, on the same way."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import claim, float32, load, numbers, real, singles, store, whole

ROWS = 8
"""That a thread takes at a time."""


def normed(x: Tensor, added: Tensor | None, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """x and added (..., H), weight (H,) -> the norm of their sum, that sum, and 1 / root mean square (...). The weight
    and the last are in fp32."""
    output, factor = torch.empty_like(x), torch.empty(x.shape[:-1])
    total = x if added is None else torch.empty_like(x)
    width = x.shape[-1]
    _NORM(x.dtype, x.numel() // width, width, x, added, weight, epsilon, output, total, factor)
    return output, total, factor


def norm_back(grad: Tensor, around: Tensor | None, total: Tensor, weight: Tensor, factor: Tensor) -> Tensor:
    """Gradient of the sum, from that of the norm and from `around`, what comes to the sum from elsewhere."""
    output, width = torch.empty_like(total), total.shape[-1]
    _BACK(total.dtype, total.numel() // width, width, grad, around, total, weight, factor, output)
    return output


def _norm(job: Any) -> None:
    count, width = whole(job, 1), whole(job, 2)
    x, added, weight, epsilon = numbers(job, 3), numbers(job, 4), singles(job, 5), real(job, 6)
    output, total, factor = numbers(job, 7), numbers(job, 8), singles(job, 9)
    is_sum = whole(job, 4) != 0
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, squares = row * width, float32(0)
            if is_sum:
                for one in range(at, at + width):
                    store(total, one, load(x, one) + load(added, one))
            for one in range(at, at + width):
                squares += load(total, one) * load(total, one)
            scale = float32(1) / np.sqrt(squares / float32(width) + epsilon)
            factor[row] = scale
            for one in range(width):
                store(output, at + one, load(total, at + one) * scale * weight[one])


def _back(job: Any) -> None:
    count, width = whole(job, 1), whole(job, 2)
    grad, around, total, weight = numbers(job, 3), numbers(job, 4), numbers(job, 5), singles(job, 6)
    factor, output = singles(job, 7), numbers(job, 8)
    is_around = whole(job, 4) != 0
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, along, scale = row * width, float32(0), factor[row]
            for one in range(width):
                along += load(grad, at + one) * weight[one] * load(total, at + one)
            along *= scale * scale / float32(width)
            if is_around:
                for one in range(width):
                    through = load(grad, at + one) * weight[one] - load(total, at + one) * along
                    store(output, at + one, through * scale + load(around, at + one))
            else:
                for one in range(width):
                    through = load(grad, at + one) * weight[one] - load(total, at + one) * along
                    store(output, at + one, through * scale)


_NORM, _BACK = Loop(_norm), Loop(_back)
