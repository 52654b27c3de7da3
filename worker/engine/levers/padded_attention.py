"""Attention over rows side by side, each filled up to the longest (Vaswani et al. 2017), as encoders have it.

Where attention drops out PyTorch computes it in a dozen steps on processors. Here its softmax, which keys are there,
and what is dropped are one loop each way, see `kernels/padded_softmax.py`. Measured on/off: see README, “Speed”.
"""

from typing import Any

import torch
from torch import Tensor

from worker.engine.kernels.dice import drawn
from worker.engine.kernels.loops import takes
from worker.engine.kernels.padded_softmax import padded_softmax_, padded_softmax_back_


def padded_takes(joined: Tensor, mask: Tensor | None) -> bool:
    """A mask must be the same for all heads and queries, as that of an encoder is."""
    return takes(joined) and (mask is None or (mask.dtype == torch.bool and mask.dim() == 4))


def padded_attention(joined: Tensor, mask: Tensor | None, *, heads: int, scale: float, dropout: float) -> Tensor:
    """Queries, keys and values side by side (B, T, 3 * heads * d), mask (B, 1, queries, keys) of what is seen ->
    (B, T, heads * d)."""
    there = torch.zeros(joined.shape[:2])
    if mask is not None:
        there.masked_fill_(~mask[:, 0, 0], -torch.inf)
    return _Attention.apply(joined, there, heads, scale, dropout)  # type: ignore[no-any-return, no-untyped-call]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, joined: Tensor, mask: Tensor, heads: int, scale: float, dropout: float) -> Tensor:
        batch, tokens, width = joined.shape
        apart = _apart(joined, 3, heads)
        query, key, value = apart
        dice = drawn()
        softmax = torch.bmm(query, key.transpose(1, 2))
        used = padded_softmax_(softmax, mask, scale, dropout, dice)
        ctx.save_for_backward(apart, softmax, used, dice)
        ctx.scale, ctx.dropout, ctx.heads = scale, dropout, heads
        return _beside(torch.bmm(used, value)[None], (batch, tokens, width // 3))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        apart, softmax, used, dice = ctx.saved_tensors
        query, key, value = apart
        batch, tokens, width = grads[0].shape
        (grad,) = _apart(grads[0], 1, ctx.heads)
        d_scores = padded_softmax_back_(torch.bmm(grad, value.transpose(1, 2)), softmax, ctx.scale, ctx.dropout, dice)
        d_apart = torch.empty_like(apart)
        torch.bmm(d_scores, key, out=d_apart[0])
        torch.bmm(d_scores.transpose(1, 2), query, out=d_apart[1])
        torch.bmm(used.transpose(1, 2), grad, out=d_apart[2])
        return _beside(d_apart, (batch, tokens, 3 * width)), None, None, None, None


def _apart(x: Tensor, parts: int, heads: int) -> Tensor:
    """(B, T, parts * heads * d) -> (parts, B * heads, T, d)"""
    batch, tokens, width = x.shape
    size = width // (parts * heads)
    return (
        x.reshape(batch, tokens, parts, heads, size).permute(2, 0, 3, 1, 4).reshape(parts, batch * heads, tokens, size)
    )


def _beside(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """What `_apart` did, undone: `shape` is (B, T, parts * heads * d)."""
    parts, both, tokens, size = x.shape
    batch = shape[0]
    return x.view(parts, batch, both // batch, tokens, size).permute(1, 3, 0, 2, 4).reshape(shape)
