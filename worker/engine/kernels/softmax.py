"""The softmax of attention's scores, each query's over the keys that it sees, in place and without a mask in memory."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import (
    claim,
    claim_of,
    exponential,
    float32,
    larger,
    load,
    numbers,
    singles,
    store,
    sum_of,
    whole,
)

ROWS = 16
"""Queries that a thread takes at a time."""


def seen_softmax_(scores: Tensor, *, heads: int, window: int | None) -> Tensor:
    """scores (B, tokens * heads, keys), the tokens being the last of the keys -> each token's over itself and the keys
    before it, or the last `window` of these; 0 for the others."""
    batch, queries, keys = scores.shape
    assert queries % heads == 0 and queries // heads <= keys
    each = torch.empty(torch.get_num_threads(), keys)
    _SOFTMAX(scores.dtype, batch * queries, queries, keys, heads, window or keys, scores, each, 0)
    return scores


def _softmax(job: Any) -> None:
    count, queries, keys, heads = whole(job, 1), whole(job, 2), whole(job, 3), whole(job, 4)
    window, scores, each = whole(job, 5), numbers(job, 6), singles(job, 7)
    tokens, mine = queries // heads, claim_of(job, 8) * keys
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at = row * keys
            end = at + keys - tokens + (row % queries) // heads + 1
            start = max(at, end - window)
            for one in range(at, start):
                store(scores, one, float32(0))
            for one in range(end, at + keys):
                store(scores, one, float32(0))
            largest = float32(-np.inf)
            for one in range(start, end):
                largest = larger(largest, load(scores, one))
            for one in range(end - start):
                each[mine + one] = exponential(load(scores, start + one) - largest)
            share = float32(1) / sum_of(each, mine, mine + end - start)
            for one in range(end - start):
                store(scores, start + one, each[mine + one] * share)


_SOFTMAX = Loop(_softmax)
