"""LoRA's layer (Hu et al. 2021, arXiv 2106.09685) in one step forward and one back.

peft multiplies a 16-bit base by adapter weights in 32 bits, or casts them anew for each product, and keeps every step
between for the backward pass. Here the adapter weights are copied to 16 bits once, what they add is added in place,
and kept are the input and its few low-rank numbers. The weights that learn stay in 32 bits.
"""

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn.functional import linear

from worker.engine.levers.dropout import kept

NAME = "default"
"""peft's for the one adapter there is."""


def quicken_lora(model: nn.Module) -> None:
    """Replace the forward pass of every layer that this is the same for; DoRA and the like stay peft's."""
    for layer in model.modules():
        if type(layer) is LoraLinear and _is_plain(layer):
            layer.forward = MethodType(_forward, layer)


def _is_plain(layer: Any) -> bool:
    return layer.active_adapters == [NAME] and not layer.lora_variant and not layer.lora_bias[NAME]


def _forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if layer.disable_adapters or layer.merged:
        return LoraLinear.forward(layer, x, *args, **kwargs)  # type: ignore[no-any-return]
    base = layer.get_base_layer()
    weight = base.weight.T if layer.fan_in_fan_out else base.weight  # (outputs, inputs)
    dropout = layer.lora_dropout[NAME]
    share = dropout.p if isinstance(dropout, nn.Dropout) and layer.training else 0.0
    added = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else weight.dtype
    flat, weight, bias = x.to(dtype).flatten(0, -2), weight.to(dtype), base.bias
    bias = None if bias is None else bias.to(dtype)
    output: Tensor = _LowRank.apply(flat, weight, bias, *added, layer.scaling[NAME], share)  # type: ignore[no-untyped-call]
    return output.view(*x.shape[:-1], -1)


class _LowRank(torch.autograd.Function):
    """x (N, inputs), W (outputs, inputs), bias (outputs,) or None, A (r, inputs), B (outputs, r) -> (N, outputs):
    x W^T + bias + scale (dropped x) A^T B^T. W and bias are frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float, dropout: float
    ) -> Tensor:
        a, b = a.to(x.dtype), b.to(x.dtype)
        drops = kept(x, dropout) if dropout else None
        low = (x if drops is None else x * drops) @ a.T * scale  # (N, r)
        ctx.save_for_backward(x, weight, a, b, low, drops)
        ctx.scale = scale
        return linear(x, weight, bias).addmm_(low, b.T)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight, a, b, low, drops = ctx.saved_tensors
        grad = grads[0]
        d_low = grad @ b * ctx.scale
        d_b = grad.T @ low
        d_a = d_low.T @ (x if drops is None else x * drops)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = grad @ weight
            if drops is None:
                d_x.addmm_(d_low, a)
            else:
                d_x.addcmul_(d_low @ a, drops)
        return d_x, None, None, d_a, d_b, None, None
