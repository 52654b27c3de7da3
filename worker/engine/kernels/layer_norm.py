"""Layer norm (Ba, Kiros and Hinton 2016) of a dropped-out part and what goes beside it, in one pass each way."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.dice import share, sides
from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import claim, float32, load, numbers, real, singles, store, sum_of, whole, wholes

ROWS = 8
"""That a thread takes at a time."""


def layer_normed(
    x: Tensor, beside: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float, dropout: float, dice: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """x (..., H) in any kind, beside (..., H), weight and bias (H,) in fp32 -> the norm of their sum, that before it is
    scaled by the weight, and 1 / standard deviation (...), in fp32."""
    output, plain, factor = torch.empty(x.shape), torch.empty(x.shape), torch.empty(x.shape[:-1])
    width = x.shape[-1]
    count, dropped = x.numel() // width, sides(dropout)
    _NORM(x.dtype, count, width, x, beside, weight, bias, epsilon, dropped, dice, output, plain, factor)
    return output, plain, factor


def layer_norm_back(
    grad: Tensor, plain: Tensor, weight: Tensor, factor: Tensor, dropout: float, dice: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Gradients of x, in `dtype`, and of what goes beside it."""
    d_x, d_beside = torch.empty_like(plain, dtype=dtype), torch.empty_like(plain)
    width = plain.shape[-1]
    _BACK(dtype, plain.numel() // width, width, grad, plain, weight, factor, sides(dropout), dice, d_x, d_beside)
    return d_x, d_beside


def _norm(job: Any) -> None:
    count, width = whole(job, 1), whole(job, 2)
    x, beside, weight, bias, epsilon = numbers(job, 3), singles(job, 4), singles(job, 5), singles(job, 6), real(job, 7)
    dropped, start = whole(job, 8), wholes(job, 9)[0]
    output, plain, factor, is_beside = singles(job, 10), singles(job, 11), singles(job, 12), whole(job, 4) != 0
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, squares = row * width, float32(0)
            if is_beside:
                for one in range(at, at + width):
                    plain[one] = load(x, one) * share(start, one, dropped) + beside[one]
            else:
                for one in range(at, at + width):
                    plain[one] = load(x, one) * share(start, one, dropped)
            mean = sum_of(plain, at, at + width) / float32(width)
            for one in range(at, at + width):
                squares += (plain[one] - mean) * (plain[one] - mean)
            scale = float32(1) / np.sqrt(squares / float32(width) + epsilon)
            factor[row] = scale
            for one in range(at, at + width):
                plain[one] = (plain[one] - mean) * scale
            for one in range(width):
                output[at + one] = plain[at + one] * weight[one] + bias[one]


def _back(job: Any) -> None:
    count, width = whole(job, 1), whole(job, 2)
    grad, plain, weight, factor = singles(job, 3), singles(job, 4), singles(job, 5), singles(job, 6)
    dropped, start, d_x, d_beside = whole(job, 7), wholes(job, 8)[0], numbers(job, 9), singles(job, 10)
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, total, along, scale = row * width, float32(0), float32(0), factor[row]
            for one in range(width):
                total += grad[at + one] * weight[one]
            for one in range(width):
                along += grad[at + one] * weight[one] * plain[at + one]
            mean, along = total / float32(width), along / float32(width)
            for one in range(width):
                d_beside[at + one] = (grad[at + one] * weight[one] - mean - plain[at + one] * along) * scale
            for one in range(at, at + width):
                store(d_x, one, d_beside[one] * share(start, one, dropped))


_NORM, _BACK = Loop(_norm), Loop(_back)
