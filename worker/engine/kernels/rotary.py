"""Queries and keys turned by their position, in one pass over memory."""

from typing import Any

import torch
from torch import Tensor

from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import claim, load, numbers, real, store, whole

ROWS = 8
"""Tokens that a thread takes at a time."""


def turned(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    """x (..., H, d), cos and sin (..., 1, d) of as many tokens -> as x. `direction` -1 turns back."""
    output = torch.empty_like(x)
    heads, size = x.shape[-2:]
    _TURN(x.dtype, x.numel() // (heads * size), heads, size // 2, x, cos, sin, float(direction), output)
    return output


def _turn(job: Any) -> None:
    count, heads, half = whole(job, 1), whole(job, 2), whole(job, 3)
    x, cos, sin, direction, output = numbers(job, 4), numbers(job, 5), numbers(job, 6), real(job, 7), numbers(job, 8)
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for token in range(begin, min(begin + ROWS, count)):
            angle = token * 2 * half
            for head in range(heads):
                first = (token * heads + head) * 2 * half
                second = first + half
                for one in range(half):
                    a, b = load(x, first + one), load(x, second + one)
                    store(output, first + one, a * load(cos, angle + one) - b * (load(sin, angle + one) * direction))
                for one in range(half):
                    a, b = load(x, first + one), load(x, second + one)
                    store(output, second + one, b * load(cos, angle + one) + a * (load(sin, angle + one) * direction))


_TURN = Loop(_turn)
