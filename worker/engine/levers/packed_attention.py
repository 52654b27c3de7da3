"""Attention over packed rows (Vaswani et al. 2017): a row's tokens see those before them in it, and nothing else.

The processor's kernel for attention has a slow backward pass, on short rows eight times as slow as plain matrix
products. So it is written out, in blocks of queries that leave out most of what lies above the diagonal, with a softmax
that leaves out the rest, see `kernels/softmax.py`. Measured on/off: see README, “Speed”. Cards have a kernel of their
own for all of it, see varlen_attention.py.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from worker.engine.kernels.loops import takes
from worker.engine.kernels.softmax import seen_softmax_
from worker.engine.levers.dropout import kept
from worker.engine.levers.packed_rows import Group, Layout
from worker.engine.levers.varlen_attention import varlen_attention, varlen_takes

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
    if varlen_takes(q, dropout=dropout, window=sliding_window):
        return varlen_attention(q, k, v, layout, scaling=scaling)[None], None
    how = _How(layout, scaling, dropout, sliding_window)
    return _Attention.apply(q, k, v, how)[None], None  # type: ignore[no-untyped-call]


class _How(NamedTuple):
    """What is no tensor. `window`: how many tokens, itself included, a token sees; all if None."""

    layout: Layout
    scale: float
    dropout: float
    window: int | None


class _Block(NamedTuple):
    """Queries of one product, and how many keys they see. Each token has `heads` queries, side by side."""

    queries: slice
    tokens: int
    keys: int
    heads: int
    scale: float
    window: int | None

    def attention(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, queries, keys)"""
        scores = _product(q[:, self.queries], k[:, : self.keys].transpose(1, 2), self.scale)
        if takes(scores):
            return seen_softmax_(scores, heads=self.heads, window=self.window)
        here = slice(self.keys - self.tokens, self.keys)
        scores[:, :, here] += _above_diagonal(self.tokens, self.heads, scores.dtype, scores.device)
        if self.window is not None and self.keys > self.window:
            key = torch.arange(self.keys, device=q.device)
            hidden = key <= key[here, None] - self.window
            scores.masked_fill_(hidden.repeat_interleave(self.heads, dim=0), -torch.inf)
        return scores.softmax(dim=-1)


@lru_cache(maxsize=4)
def _above_diagonal(tokens: int, heads: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(tokens * heads, tokens): -inf for keys behind a query's own, else 0. Added, it takes half of what filling does,
    and it is the same for all blocks of a model."""
    mask = torch.full((tokens, tokens), -torch.inf, dtype=dtype, device=device).triu(diagonal=1)
    return mask.repeat_interleave(heads, dim=0)


def _product(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """(B, n, m) and (B, m, k) -> (B, n, k), scaled on the way."""
    return a.new_empty(a.shape[0], a.shape[1], b.shape[2]).baddbmm_(a, b, beta=0, alpha=scale)


def _blocks(num_seen: int, heads: int, group: Group, how: _How) -> Iterator[_Block]:
    longest = group.longest
    for begin in range(0, longest, BLOCK):
        end = min(begin + BLOCK, longest)
        yield _Block(slice(begin * heads, end * heads), end - begin, num_seen + end, heads, how.scale, how.window)


class _Attention(torch.autograd.Function):
    """Of a whole pack: q (T, H, d), k and v (P + T, K, d) -> (T, H, d); the first P keys are seen by every row."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, how: _How) -> Tensor:
        prefix = len(k) - len(q)
        output = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        saved = []
        for group in how.layout.groups:
            own, seen = slice(prefix + group.begin, prefix + group.end), slice(0, prefix + group.sees)
            rows = slice(group.begin, group.end)
            keys, values = _keys(k[own], k[seen], group), _keys(v[own], v[seen], group)
            output[rows], its = _attend(q[rows], keys, values, group, how)
            saved += its
        # All of it so, and nothing beside: where blocks are computed again, what is saved so is let go meanwhile.
        ctx.save_for_backward(*saved)
        ctx.how, ctx.prefix, ctx.key_heads = how, prefix, k.shape[1]
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        d_q = torch.empty_like(grad)
        # What rows share comes first among the groups, and is written before others add to it.
        d_k, d_v = (grad.new_empty(ctx.prefix + len(grad), ctx.key_heads, grad.shape[2]) for _ in range(2))
        d_k[: ctx.prefix], d_v[: ctx.prefix] = 0, 0
        saved = iter(ctx.saved_tensors)
        for group in ctx.how.layout.groups:
            own, seen = slice(ctx.prefix + group.begin, ctx.prefix + group.end), ctx.prefix + group.sees
            rows = slice(group.begin, group.end)
            d_q[rows], d_keys, d_values = _attend_back(grad[rows], saved, group, seen, ctx.how)
            for whole, part in ((d_k, d_keys), (d_v, d_values)):
                whole[own], of_seen = _apart(part, group, seen)
                whole[:seen] += of_seen
        return d_q, d_k, d_v, None


def _attend(q: Tensor, keys: Tensor, values: Tensor, group: Group, how: _How) -> tuple[Tensor, list[Tensor | None]]:
    """Of one group's rows: q (N, H, d), keys and values as `_keys` lays them -> (N, H, d), and what to save."""
    heads = q.shape[1] * len(group.lengths) // len(keys)
    queries = _queries(q, group, heads)
    output = torch.empty_like(queries)
    attentions, drops = list[Tensor | None](), list[Tensor]()
    for block in _blocks(keys.shape[1] - group.longest, heads, group, how):
        attention = block.attention(queries, keys)
        used = attention
        if how.dropout:
            drops.append(kept(attention, how.dropout))
            used = attention * drops[-1]
        output[:, block.queries].baddbmm_(used, values[:, : block.keys], beta=0)
        attentions.append(attention if group.longest <= LONGEST_KEPT else None)
    return _tokens(output, group, heads), [queries, keys, values, *attentions, *drops]


def _attend_back(
    grad: Tensor, saved: Iterator[Tensor], group: Group, num_seen: int, how: _How
) -> tuple[Tensor, Tensor, Tensor]:
    """Takes what `_attend` saved -> gradients of q, keys and values as it was given them."""
    queries, keys, values = islice(saved, 3)
    heads = grad.shape[1] * len(group.lengths) // len(keys)
    blocks = list(_blocks(num_seen, heads, group, how))
    attentions, drops = list(islice(saved, len(blocks))), list(islice(saved, len(blocks) if how.dropout else 0))
    d_output = _queries(grad, group, heads, is_gradient=True)
    d_queries = torch.empty_like(queries)
    d_keys, d_values = torch.zeros_like(keys), torch.zeros_like(values)
    for number, block in enumerate(blocks):
        attention = attentions[number]
        if attention is None:
            attention = block.attention(queries, keys)
        seen, its = slice(0, block.keys), d_output[:, block.queries]
        d_attention = torch.bmm(its, values[:, seen].transpose(1, 2))
        used = attention
        if drops:
            d_attention *= drops[number]
            used = attention * drops[number]
        d_values[:, seen].baddbmm_(used.transpose(1, 2), its)
        d_scores = torch._softmax_backward_data(d_attention, attention, -1, attention.dtype)
        d_queries[:, block.queries].baddbmm_(d_scores, keys[:, seen], beta=0, alpha=how.scale)
        d_keys[:, seen].baddbmm_(d_scores.transpose(1, 2), queries[:, block.queries], alpha=how.scale)
    return _tokens(d_queries, group, heads), d_keys, d_values


def _padded(x: Tensor, group: Group, *, is_gradient: bool = False) -> Tensor:
    """(N, heads, d) -> (rows, longest, heads, d). A gradient of padding is none."""
    rows = len(group.lengths)
    if group.is_even:
        padded = x
    elif is_gradient:
        padded = x.new_zeros(rows * group.longest, *x.shape[1:]).index_copy_(0, group.back, x)
    else:
        padded = x.index_select(0, group.into)
    return padded.reshape(rows, group.longest, *x.shape[1:])


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
    return x if group.is_even else x.index_select(0, group.back)


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
