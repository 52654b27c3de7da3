"""Cross entropy of logits over a vocabulary. On a processor they stay in 16 bits and no copy in 32 is made, forth or
back, see `kernels/cross_entropy.py`; elsewhere PyTorch's own."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from worker.engine.kernels.cross_entropy import losses_back, losses_of
from worker.engine.kernels.loops import takes


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (N, V), targets (N,) -> (N,) in fp32."""
    if takes(logits):
        return _Loss.apply(logits, targets)  # type: ignore[no-any-return, no-untyped-call]
    return cross_entropy(logits.float(), targets, reduction="none")


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        losses, sums = losses_of(logits, targets)
        ctx.save_for_backward(logits, targets, sums)
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return losses_back(grads[0].contiguous(), *ctx.saved_tensors), None
