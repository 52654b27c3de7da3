"""LoRA's layer (Hu et al. 2021, arXiv 2106.09685) in one step forward and one back, and so layers that read the same
input: their low ranks side by side are one product, and what they give back to the input is added where it is made.

peft multiplies a 16-bit base by adapter weights in 32 bits, or casts them anew for each product, and keeps every step
between for the backward pass. Here the adapter weights are copied to 16 bits once, what they add is added in place,
and kept are the input and its few low-rank numbers. The weights that learn stay in 32 bits.
"""

from collections.abc import Sequence
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


def together(layers: Sequence[Any], x: Tensor) -> list[Tensor]:
    """What each layer makes of x (..., inputs). Layers that are not LoRA's, or not alike, go each by itself."""
    return _quick(layers, x) if _are_alike(layers) else [layer(x) for layer in layers]


def joined(layers: Sequence[Any], x: Tensor) -> Tensor:
    """What `together` gives, side by side (..., outputs of all). Where a step needs copies of the frozen weights
    anyway, these are made side by side, so that all is as few products as one layer's."""
    if not (_are_alike(layers) and _dropout(layers[0]) == 0 and _computed_in(layers[0], x) != _weight(layers[0]).dtype):
        return torch.cat(together(layers, x), dim=-1)
    dtype = _computed_in(layers[0], x)
    down = torch.cat([layer.lora_A[NAME].weight for layer in layers])
    up = torch.block_diag(*(layer.lora_B[NAME].weight for layer in layers))  # type: ignore[no-untyped-call]
    flat = x.to(dtype).flatten(0, -2)
    outputs = _LowRank.apply(flat, layers[0].scaling[NAME], 0.0, *_frozen(layers, dtype), down, up)  # type: ignore[no-untyped-call]
    return outputs[0].view(*x.shape[:-1], -1)  # type: ignore[no-any-return]


def _is_plain(layer: Any) -> bool:
    return layer.active_adapters == [NAME] and not layer.lora_variant and not layer.lora_bias[NAME]


def _are_alike(layers: Sequence[Any]) -> bool:
    return (
        all("forward" in vars(layer) and type(layer) is LoraLinear and _is_active(layer) for layer in layers)
        and len({(layer.scaling[NAME], _dropout(layer)) for layer in layers}) == 1
    )


def _is_active(layer: Any) -> bool:
    return not (layer.disable_adapters or layer.merged)


def _dropout(layer: Any) -> float:
    dropout = layer.lora_dropout[NAME]
    return dropout.p if isinstance(dropout, nn.Dropout) and layer.training else 0.0


def _forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if not _is_active(layer):
        return LoraLinear.forward(layer, x, *args, **kwargs)  # type: ignore[no-any-return]
    return _quick([layer], x)[0]


def _quick(layers: Sequence[Any], x: Tensor) -> list[Tensor]:
    dtype = _computed_in(layers[0], x)
    tensors: list[Tensor | None] = []
    for layer in layers:
        tensors += [*_frozen([layer], dtype), layer.lora_A[NAME].weight, layer.lora_B[NAME].weight]
    flat = x.to(dtype).flatten(0, -2)
    outputs = _LowRank.apply(flat, layers[0].scaling[NAME], _dropout(layers[0]), *tensors)  # type: ignore[no-untyped-call]
    return [output.view(*x.shape[:-1], -1) for output in outputs]


def _computed_in(layer: Any, x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else _weight(layer).dtype


def _weight(layer: Any) -> Tensor:
    weight: Tensor = layer.get_base_layer().weight
    return weight


def _frozen(layers: Sequence[Any], dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Layers' weights (outputs of all, inputs) and biases in `dtype`. Copies that steps on a processor need are made
    once: unless blocks are computed again, a step held all of them anyway. A card may hold a part of the weights
    alone."""
    version = dtype, len(layers), *(_weight(layer)._version for layer in layers)
    held = getattr(layers[0], "copied", None)
    if held is not None and held[0] == version:
        return held[1:]  # type: ignore[no-any-return]
    weights = [_weight(layer).T if layer.fan_in_fan_out else _weight(layer) for layer in layers]
    biases = [layer.get_base_layer().bias for layer in layers]
    bias = None if biases[0] is None else _side_by_side(biases, 0).to(dtype)
    made = _side_by_side(weights, 0).to(dtype), bias
    if weights[0].dtype != dtype and weights[0].device.type == "cpu" and torch.is_grad_enabled():
        layers[0].copied = version, *made
    return made


def _side_by_side(tensors: Sequence[Tensor], dim: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim)


def _apart(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """`_side_by_side` undone."""
    return (x,) if len(sizes) == 1 else torch.split(x, list(sizes), dim)


class _LowRank(torch.autograd.Function):
    """x (N, inputs) and, for each layer, W (outputs, inputs), bias (outputs,) or None, A (r, inputs), B (outputs, r) ->
    for each layer (N, outputs): x W^T + bias + scale (dropped x) A^T B^T. W and bias are frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, dropout: float, *tensors: Any) -> tuple[Tensor, ...]:
        weights, biases, downs = (tensors[at::4] for at in range(3))
        down = _side_by_side(downs, 0).to(x.dtype)  # (ranks of all, inputs)
        ups = [up.to(x.dtype) for up in tensors[3::4]]
        ctx.ranks = [len(one) for one in downs]
        drops = [kept(x, dropout) for _ in weights] if dropout else []
        if drops:
            read = zip(drops, _apart(down, ctx.ranks, 0), strict=True)
            low = torch.cat([(x * drop) @ one.T for drop, one in read], dim=1)  # (N, ranks of all)
        else:
            low = x @ down.T
        low.mul_(scale)
        ctx.save_for_backward(x, down, low, *weights, *ups, *drops)
        ctx.scale, ctx.learns_in = scale, downs[0].dtype
        return tuple(
            linear(x, weight, bias).addmm_(its, up.T)
            for weight, bias, its, up in zip(weights, biases, _apart(low, ctx.ranks, 1), ups, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, down, low, *rest = ctx.saved_tensors
        number = len(grads)
        weights, ups, drops = rest[:number], rest[number : 2 * number], rest[2 * number :]
        d_low = _side_by_side([grad @ up for grad, up in zip(grads, ups, strict=True)], 1).mul_(ctx.scale)
        # Of both ways to write this product the quicker one, by a quarter; turned when it is cast anyway.
        d_ups = [
            (its.T @ grad).T.to(ctx.learns_in, memory_format=torch.contiguous_format)
            for grad, its in zip(grads, _apart(low, ctx.ranks, 1), strict=True)
        ]
        if drops:
            pairs = list(zip(_apart(d_low, ctx.ranks, 1), drops, strict=True))
            d_downs = tuple(its.T @ (x * drop) for its, drop in pairs)
        else:
            d_downs = _apart(d_low.T @ x, ctx.ranks, 0)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = grads[0] @ weights[0]
            for grad, weight in zip(grads[1:], weights[1:], strict=True):
                d_x.addmm_(grad, weight)
            if drops:
                for (its, drop), one in zip(pairs, _apart(down, ctx.ranks, 0), strict=True):
                    d_x.addcmul_(its @ one, drop)
            else:
                d_x.addmm_(d_low, down)
        d_tensors = [one for pair in zip(d_downs, d_ups, strict=True) for one in (None, None, *pair)]
        return d_x, None, None, *d_tensors
