"""Root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467), with the sum before it, that keeps no more than
the sum and one number a token for its backward pass.

transformers keeps three copies in 32 bits of what goes through. On a processor all of it is one pass over memory, see
`kernels/norm.py`; and since the sum goes on beside its norm, what comes back that way is added on the same pass.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from worker.engine.kernels.loops import takes
from worker.engine.kernels.norm import norm_back, normed

_NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)


def quicken_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _NORMS):
            module.forward = MethodType(_forward, module)


def normed_sum(norm: Any, x: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """x and added (..., H) -> the norm of their sum, and that sum to go on with."""
    if takes(x, x if added is None else added) and _dtype_after(x) == x.dtype:
        return _OnePass.apply(x, added, norm.weight, norm.variance_epsilon)  # type: ignore[no-any-return, no-untyped-call]
    total = x if added is None else added + x
    return norm(total), total


def _forward(norm: Any, x: Tensor) -> Tensor:
    if takes(x) and _dtype_after(x) == x.dtype:
        return normed_sum(norm, x)[0]
    return _Norm.apply(x, norm.weight, norm.variance_epsilon, _dtype_after(x))  # type: ignore[no-any-return, no-untyped-call]


def _dtype_after(x: Tensor) -> torch.dtype:
    """What follows are products; cast once here, not by each of them for itself."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _OnePass(torch.autograd.Function):
    """As `normed_sum`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, added: Tensor | None, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        weight = weight.float()
        output, total, factor = normed(x, added, weight, epsilon)
        ctx.save_for_backward(total, weight, factor)
        ctx.set_materialize_grads(False)
        ctx.is_sum = added is not None
        return output, total.view_as(total)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        total, weight, factor = ctx.saved_tensors
        grad, around = (None if one is None else one.contiguous() for one in grads)
        if grad is None:
            return around, around if ctx.is_sum else None, None, None
        d_weight = None
        if ctx.needs_input_grad[2]:
            d_weight = (grad * (total * factor[..., None])).flatten(0, -2).sum(dim=0)
        d_total = norm_back(grad, around, total, weight, factor)
        return d_total, d_total if ctx.is_sum else None, d_weight, None


class _Norm(torch.autograd.Function):
    """x (..., H), weight (H,) -> weight * x / sqrt(mean of x^2 + epsilon) in `dtype`, computed in 32 bits at least."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact)
        factor = size.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()  # (..., 1)
        ctx.save_for_backward(x, weight, factor)
        return (weight * torch.mul(x, factor, out=torch.empty_like(x))).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight, factor = ctx.saved_tensors
        grad = grads[0]
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = (grad * (x * factor)).flatten(0, -2).sum(dim=0)
        through = (grad * weight).to(factor.dtype)
        along = (through * x).sum(dim=-1, keepdim=True).mul_(factor.square() / x.shape[-1])
        return through.sub_(x * along).mul_(factor).to(x.dtype), d_weight, None, None
