"""A feed-forward's gate that keeps what comes in for its backward pass, and nothing between. On a processor it is one
pass over memory each way, see `kernels/gate.py`; elsewhere PyTorch's own."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation

from worker.engine.kernels.gate import gated, gated_back
from worker.engine.kernels.loops import takes

_SILUS = (nn.SiLU, SiLUActivation)
"""By PyTorch's name, and by that which transformers' models have."""


def gate(activation: nn.Module, x: Tensor, up: Tensor) -> Tensor:
    """activation(x) * up, all of one shape."""
    if isinstance(activation, _SILUS) and takes(x, up):
        return _Gate.apply(x, up)  # type: ignore[no-any-return, no-untyped-call]
    activated: Tensor = activation(x)
    return activated * up


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(x, up)
        return gated(x, up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return gated_back(grads[0].contiguous(), *ctx.saved_tensors)
