"""An encoder's layer norm (Ba, Kiros and Hinton 2016), with the dropout and the sum before it: on a processor one pass
over memory each way, see `kernels/layer_norm.py`. Measured on/off: see README, “Speed”."""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from worker.engine.kernels.dice import drawn
from worker.engine.kernels.layer_norm import layer_norm_back, layer_normed
from worker.engine.kernels.loops import takes


def quicken_layer_norms(model: nn.Module) -> None:
    for module in model.modules():
        if type(module) is nn.LayerNorm and module.bias is not None:
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def normed_after(norm: Any, dropout: nn.Dropout, x: Tensor, beside: Tensor) -> Tensor:
    """x and beside (..., H) -> norm(dropout(x) + beside). What hangs on either is called with it: a bottleneck adapter
    does."""
    is_bare = "forward" in vars(norm) and not (norm._forward_hooks or dropout._forward_hooks)
    if not (is_bare and takes(x) and _are_singles(beside, norm.weight)):
        output: Tensor = norm(dropout(x) + beside)
        return output
    share = dropout.p if dropout.training else 0.0
    return _Norm.apply(x, beside, norm.weight, norm.bias, norm.eps, share)  # type: ignore[no-any-return, no-untyped-call]


def _forward(norm: Any, x: Tensor) -> Tensor:
    if _are_singles(x, norm.weight):
        return _Norm.apply(x, None, norm.weight, norm.bias, norm.eps, 0.0)  # type: ignore[no-any-return, no-untyped-call]
    return nn.LayerNorm.forward(norm, x)


def _are_singles(*tensors: Tensor) -> bool:
    """What is added up is, and so is the norm: autocast keeps both in 32 bits."""
    return tensors[0].dtype == torch.float32 and takes(*tensors)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, beside: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float, dropout: float
    ) -> Tensor:
        dice = drawn()
        output, plain, factor = layer_normed(x, beside, weight, bias, epsilon, dropout, dice)
        ctx.save_for_backward(plain, weight, factor, dice)
        ctx.dropout, ctx.dtype, ctx.is_sum = dropout, x.dtype, beside is not None
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        plain, weight, factor, dice = ctx.saved_tensors
        grad = grads[0].contiguous()
        d_weight = (grad * plain).flatten(0, -2).sum(dim=0) if ctx.needs_input_grad[2] else None
        d_bias = grad.flatten(0, -2).sum(dim=0) if ctx.needs_input_grad[3] else None
        d_x, d_beside = layer_norm_back(grad, plain, weight, factor, ctx.dropout, dice, ctx.dtype)
        return d_x, d_beside if ctx.is_sum else None, d_weight, d_bias, None, None
