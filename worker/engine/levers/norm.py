"""Root mean square norm (Zhang and Sennrich 2019, arXiv 1910.07467) that keeps 16 bits for its backward pass.

transformers keeps three copies in 32 bits of what goes through; here it is the input and one number a token.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

_NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)


def quicken_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _NORMS):
            module.forward = MethodType(_forward, module)


def _forward(norm: Any, x: Tensor) -> Tensor:
    kind = x.device.type
    # What follows are products; cast once here, not by each of them for itself.
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    return _Norm.apply(x, norm.weight, norm.variance_epsilon, dtype)  # type: ignore[no-any-return, no-untyped-call]


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
