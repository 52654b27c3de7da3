"""Attention over packed rows on cards, in one kernel for all of them (FlashAttention, Dao 2023, arXiv 2307.08691).

It never holds the scores, forth or back. The kernel aligns a row's last query with its last key, so that keys which
stand before all of a row's own tokens, a trained prefix and what rows share, are seen by each of them. Those are copied
to every row, which is little beside the scores saved. Written without a card at hand: its index is tested on
processors, the kernel by the tests marked `gpu`.
"""

import inspect
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from worker.engine.levers.copies import moved
from worker.engine.levers.packed_rows import Layout

LARGEST_HEAD = 256
AMPERE = (8, 0)
"""The first cards the kernel runs on."""


class Rows(NamedTuple):
    """Where the rows' queries and keys end, as the kernel wants it."""

    keys: Tensor | None
    """(K,): which keys the rows see, one row after the other; None where that is all of them in order."""
    query_ends: Tensor
    """(rows + 1,), from 0 on."""
    key_ends: Tensor
    longest_query: int
    longest_key: int


def varlen_takes(query: Tensor, *, dropout: float, window: int | None) -> bool:
    """Whether the kernel computes this; the rest is written out. A window is not: the kernel has none for a prefix."""
    size = query.shape[-1]
    fits = query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and size % 8 == 0 and size <= LARGEST_HEAD
    return fits and not dropout and window is None and torch.cuda.get_device_capability(query.device) >= AMPERE


def varlen_attention(query: Tensor, key: Tensor, value: Tensor, layout: Layout, *, scaling: float) -> Tensor:
    """query (T, H, d), key and value (P + T, K, d) -> (T, H, d); the first P keys are seen by every row."""
    rows = rows_of(layout, len(key) - len(query))
    if rows.keys is not None:
        key, value = key.index_select(0, rows.keys), value.index_select(0, rows.keys)
    groups: dict[str, Any] = {"enable_gqa": True}
    if not _takes_groups(varlen_attn):
        key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], dim=1) for one in (key, value))
        groups = {}
    output = varlen_attn(
        query, key, value, rows.query_ends, rows.key_ends, rows.longest_query, rows.longest_key,
        scale=scaling, window_size=(-1, 0), **groups,
    )  # fmt: skip
    assert isinstance(output, Tensor)
    return output


@cache
def _takes_groups(kernel: Callable[..., object]) -> bool:
    """Whether the kernel shares a key among several queries' heads by itself: torch 2.13 does, 2.11 does not."""
    return "enable_gqa" in inspect.signature(kernel).parameters


@lru_cache(maxsize=1)
def rows_of(layout: Layout, prefix: int) -> Rows:
    """Made once a pack and used by every block: the newest is kept."""
    keys, query_ends, key_ends = list[int](), [0], [0]
    longest_key = 0
    for group in layout.groups:
        begin = prefix + group.begin
        for length in group.lengths:
            keys += [*range(prefix + group.sees), *range(begin, begin + length)]
            longest_key = max(longest_key, len(keys) - key_ends[-1])
            query_ends.append(query_ends[-1] + length)
            key_ends.append(len(keys))
            begin += length
    is_all = keys == list(range(prefix + query_ends[-1]))
    return Rows(
        keys=None if is_all else moved(torch.tensor(keys), layout.device),
        query_ends=moved(torch.tensor(query_ends, dtype=torch.int32), layout.device),
        key_ends=moved(torch.tensor(key_ends, dtype=torch.int32), layout.device),
        longest_query=max(group.longest for group in layout.groups),
        longest_key=longest_key,
    )
