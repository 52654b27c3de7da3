"""Queries and keys turned by their position (Su et al. 2021, arXiv 2104.09864), in two passes over memory each way, on
a processor in one, see `kernels/rotary.py`.

transformers lays the halves anew, multiplies twice and adds; its backward pass fills as many tensors again.
"""

from typing import Any

import torch
from torch import Tensor

from worker.engine.kernels.loops import takes
from worker.engine.kernels.rotary import turned


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (..., T, H, d), cos and sin (..., T, 1, d), the two halves of whose last dimension are the same -> as x."""
    return _Rotated.apply(x, cos, sin)  # type: ignore[no-any-return, no-untyped-call]


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        return _turn(grads[0], cos, sin, -1), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    if takes(x, cos, sin) and cos.shape[:-2] == sin.shape[:-2] == x.shape[:-2]:
        return turned(x, cos, sin, direction)
    output = x * cos
    first, second = x.chunk(2, dim=-1)
    sin = sin[..., : first.shape[-1]]
    output[..., : first.shape[-1]].addcmul_(second, sin, value=-direction)
    output[..., first.shape[-1] :].addcmul_(first, sin, value=direction)
    return output
