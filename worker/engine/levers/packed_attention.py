"""Attention over packed rows (Vaswani et al. 2017): a row's tokens see those before them in it, and nothing else.

The processor's kernel for attention has a slow backward pass, on short rows eight times as slow as plain matrix
products. So it is written out, in blocks of queries that leave out most of what lies above the diagonal. Measured
on/off: see README, “Speed”. Cards have a kernel of their own for it, see varlen_attention.py.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from worker.engine.levers.packed_rows import Group, Layout
from worker.engine.levers.varlen_attention import takes, varlen_attention

NAME = "packed"
"""Under which transformers knows it."""
BLOCK = 128
"""Queries in one product."""
LONGEST_KEPT = 1024
"""Rows up to this length keep their attention for the backward pass; of longer ones it would fill the memory, and is
computed again."""


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scaling: float,
    layout: Layout | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """As transformers calls it: query (1, H, T, d), key and value (1, K, P + T, d) -> (1, T, H, d).

    P keys before the pack's own are a trained prefix, seen by every row. Without a layout, as when text is generated,
    it is transformers' own.
    """
    if layout is None:
        output: Tensor = sdpa_attention_forward(
            module, query, key, value, mask, scaling=scaling, dropout=dropout, sliding_window=sliding_window, **rest
        )[0]
        return output, None
    # Rotated in 32 bits where a base is trained in mixed precision, and a trained prefix is kept in as many; products
    # are taken as exactly as all others then, else as values are kept.
    on = query.device.type
    exactness = torch.get_autocast_dtype(on) if torch.is_autocast_enabled(on) else value.dtype
    q, k, v = (one[0].transpose(0, 1).to(exactness) for one in (query, key, value))
    if takes(q, dropout=dropout, window=sliding_window):
        return varlen_attention(q, k, v, layout, scaling=scaling)[None], None
    prefix = k.shape[0] - q.shape[0]
    parts = []
    for group in layout.groups:
        own, seen = slice(prefix + group.begin, prefix + group.end), slice(0, prefix + group.sees)
        how = _How(group, scaling, dropout, sliding_window)
        its = q[group.begin : group.end], k[own], v[own], k[seen], v[seen]
        parts.append(_Attention.apply(*its, how))  # type: ignore[no-untyped-call]
    return torch.cat(parts)[None], None


class _How(NamedTuple):
    """What is no tensor. `window`: how many tokens, itself included, a token sees; all if None."""

    group: Group
    scale: float
    dropout: float
    window: int | None


class _Block(NamedTuple):
    """Queries of one product, and how many keys they see. Each token has `heads` queries, side by side."""

    queries: slice
    tokens: int
    keys: int
    heads: int
    window: int | None

    def attention(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, queries, keys)"""
        scores = torch.bmm(q[:, self.queries], k[:, : self.keys].transpose(1, 2))
        here = slice(self.keys - self.tokens, self.keys)
        key = torch.arange(self.keys, device=q.device)
        query = key[here, None]
        scores[:, :, here].masked_fill_((key[here] > query).repeat_interleave(self.heads, dim=0), -torch.inf)
        if self.window is not None and self.keys > self.window:
            scores.masked_fill_((key <= query - self.window).repeat_interleave(self.heads, dim=0), -torch.inf)
        return scores.softmax(dim=-1)


def _blocks(num_seen: int, heads: int, how: _How) -> Iterator[_Block]:
    longest = how.group.longest
    for begin in range(0, longest, BLOCK):
        end = min(begin + BLOCK, longest)
        yield _Block(slice(begin * heads, end * heads), end - begin, num_seen + end, heads, how.window)


class _Attention(torch.autograd.Function):
    """Of one group of rows: q (N, H, d), k and v (N, K, d), of what all rows see k_seen, v_seen (S, K, d)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, k_seen: Tensor, v_seen: Tensor, how: _How) -> Tensor:
        group, dropout = how.group, how.dropout
        heads, seen = q.shape[1] // k.shape[1], len(k_seen)
        queries = _queries(q * how.scale, group, heads)
        keys, values = _keys(k, k_seen, group), _keys(v, v_seen, group)
        output = torch.empty_like(queries)
        attentions, kept = [], []
        for block in _blocks(seen, heads, how):
            attention = block.attention(queries, keys)
            used = attention
            if dropout:
                kept.append(torch.empty_like(attention).bernoulli_(1 - dropout).div_(1 - dropout))
                used = attention * kept[-1]
            output[:, block.queries] = torch.bmm(used, values[:, : block.keys])
            attentions.append(attention if group.longest <= LONGEST_KEPT else None)
        # All of it so, and nothing beside: where blocks are computed again, what is saved so is let go meanwhile.
        ctx.save_for_backward(queries, keys, values, *attentions, *kept)
        ctx.how, ctx.heads, ctx.seen = how, heads, seen
        return _tokens(output, group, heads)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        queries, keys, values, *each = ctx.saved_tensors
        group = ctx.how.group
        grad = _queries(grads[0], group, ctx.heads, is_gradient=True)
        d_queries = torch.empty_like(queries)
        d_keys, d_values = torch.zeros_like(keys), torch.zeros_like(values)
        blocks = list(_blocks(ctx.seen, ctx.heads, ctx.how))
        attentions, kept = each[: len(blocks)], each[len(blocks) :]
        for number, block in enumerate(blocks):
            attention = attentions[number]
            if attention is None:
                attention = block.attention(queries, keys)
            seen, d_output = slice(0, block.keys), grad[:, block.queries]
            d_attention = torch.bmm(d_output, values[:, seen].transpose(1, 2))
            used = attention
            if kept:
                d_attention *= kept[number]
                used = attention * kept[number]
            d_values[:, seen] += torch.bmm(used.transpose(1, 2), d_output)
            d_scores = torch._softmax_backward_data(d_attention, attention, -1, attention.dtype)
            d_queries[:, block.queries] = torch.bmm(d_scores, keys[:, seen])
            d_keys[:, seen] += torch.bmm(d_scores.transpose(1, 2), queries[:, block.queries])
        d_k, d_k_seen = _apart(d_keys, group, ctx.seen)
        d_v, d_v_seen = _apart(d_values, group, ctx.seen)
        d_q = _tokens(d_queries, group, ctx.heads) * ctx.how.scale
        return d_q, d_k, d_v, d_k_seen, d_v_seen, None


def _padded(x: Tensor, group: Group, *, is_gradient: bool = False) -> Tensor:
    """(N, heads, d) -> (rows, longest, heads, d). A gradient of padding is none."""
    rows = len(group.lengths)
    if not group.is_even:
        x = x[group.into]
        if is_gradient:
            x = x * group.valid.flatten()[:, None, None]
    return x.reshape(rows, group.longest, *x.shape[1:])


def _queries(q: Tensor, group: Group, heads: int, *, is_gradient: bool = False) -> Tensor:
    """(N, H, d) -> (rows * K, longest * heads, d): queries that share a key's head stand side by side."""
    x = _padded(q, group, is_gradient=is_gradient)
    rows, longest, num_heads, size = x.shape
    split = x.view(rows, longest, num_heads // heads, heads, size).transpose(1, 2)
    return split.reshape(rows * (num_heads // heads), longest * heads, size)


def _tokens(x: Tensor, group: Group, heads: int) -> Tensor:
    """What `_queries` did, undone."""
    rows = len(group.lengths)
    key_heads = x.shape[0] // rows
    split = x.view(rows, key_heads, group.longest, heads, x.shape[-1]).transpose(1, 2)
    return _unpadded(split.reshape(rows * group.longest, key_heads * heads, x.shape[-1]), group)


def _keys(k: Tensor, seen: Tensor, group: Group) -> Tensor:
    """(N, K, d) and (S, K, d) -> (rows * K, S + longest, d)"""
    x = _padded(k, group)
    if len(seen):
        x = torch.cat([seen.expand(len(x), *seen.shape), x], dim=1)
    return x.transpose(1, 2).reshape(-1, x.shape[1], x.shape[3])


def _apart(x: Tensor, group: Group, num_seen: int) -> tuple[Tensor, Tensor]:
    """Of gradients as `_keys` laid them: each row's own, and the sum over rows of what all have seen."""
    rows = len(group.lengths)
    x = x.view(rows, x.shape[0] // rows, x.shape[1], x.shape[2]).transpose(1, 2)
    own = x[:, num_seen:].reshape(rows * group.longest, x.shape[2], x.shape[3])
    return _unpadded(own, group), x[:, :num_seen].sum(dim=0)


def _unpadded(x: Tensor, group: Group) -> Tensor:
    return x if group.is_even else x[group.back]


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
