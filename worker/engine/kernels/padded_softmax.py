"""The softmax of attention's scores over the keys that are there, and its dropout, in one pass each way."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from worker.engine.kernels.dice import share, sides
from worker.engine.kernels.loops import Loop
from worker.engine.kernels.numbers import (
    claim,
    claim_of,
    exponential,
    float32,
    larger,
    load,
    numbers,
    real,
    singles,
    store,
    sum_of,
    whole,
    wholes,
)

ROWS = 64
"""Queries that a thread takes at a time."""


def padded_softmax_(scores: Tensor, mask: Tensor, scale: float, dropout: float, dice: Tensor) -> Tensor:
    """scores (B * heads, queries, keys), mask (B, keys) of 0 or -inf in fp32 -> in place the softmax of scale * scores
    + mask; returned is what dropout leaves of it."""
    keys = scores.shape[-1]
    of_row = scores.numel() // mask.numel()
    used = torch.empty_like(scores) if dropout else scores
    each = torch.empty(torch.get_num_threads(), keys)
    count = scores.numel() // keys
    _SOFTMAX(scores.dtype, count, of_row, keys, mask, scale, sides(dropout), dice, scores, used, each, 0)
    return used


def padded_softmax_back_(grad: Tensor, softmax: Tensor, scale: float, dropout: float, dice: Tensor) -> Tensor:
    """In place: the gradient of the scores from that of what dropout left."""
    keys = softmax.shape[-1]
    each = torch.empty(torch.get_num_threads(), keys)
    _BACK(softmax.dtype, softmax.numel() // keys, keys, scale, sides(dropout), dice, softmax, grad, each, 0)
    return grad


def _softmax(job: Any) -> None:
    count, of_row, keys, mask, scale = whole(job, 1), whole(job, 2), whole(job, 3), singles(job, 4), real(job, 5)
    dropped, start, scores, used = whole(job, 6), wholes(job, 7)[0], numbers(job, 8), numbers(job, 9)
    each, mine = singles(job, 10), claim_of(job, 11) * keys
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, here = row * keys, row // of_row * keys
            largest = float32(-np.inf)
            for one in range(keys):
                each[mine + one] = load(scores, at + one) * scale + mask[here + one]
            for one in range(mine, mine + keys):
                largest = larger(largest, each[one])
            for one in range(mine, mine + keys):
                each[one] = exponential(each[one] - largest)
            part = float32(1) / sum_of(each, mine, mine + keys)
            for one in range(keys):
                store(scores, at + one, each[mine + one] * part)
            if dropped:
                for one in range(keys):
                    store(used, at + one, load(scores, at + one) * share(start, at + one, dropped))


def _back(job: Any) -> None:
    count, keys, scale = whole(job, 1), whole(job, 2), real(job, 3)
    dropped, start, softmax, grad = whole(job, 4), wholes(job, 5)[0], numbers(job, 6), numbers(job, 7)
    each, mine = singles(job, 8), claim_of(job, 9) * keys
    while True:
        begin = claim(job, ROWS)
        if begin >= count:
            break
        for row in range(begin, min(begin + ROWS, count)):
            at, along = row * keys, float32(0)
            if dropped:
                for one in range(keys):
                    each[mine + one] = load(grad, at + one) * share(start, at + one, dropped)
            else:
                for one in range(keys):
                    each[mine + one] = load(grad, at + one)
            for one in range(keys):
                along += each[mine + one] * load(softmax, at + one)
            for one in range(keys):
                store(grad, at + one, load(softmax, at + one) * (each[mine + one] - along) * scale)


_SOFTMAX, _BACK = Loop(_softmax), Loop(_back)
