"""Prompts that were read end to end, laid side by side to write on from.

To write, transformers wants rows of one length and reads them so, padding and all; read packed, what they share is read
once and nothing is padding. It also copies all keys and values for each token it writes; here they have room to grow.
Measured on/off: see README, “Speed”.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from worker.engine.levers.copies import moved


class Read(NamedTuple):
    """What a decoder keeps of rows it has read."""

    cache: Any
    """Keys and values (1, K, places, d) of each block."""
    places: Sequence[Tensor]
    """Of each row: where its tokens stand there, in order."""


def side_by_side(reads: Sequence[Read], *, room: int, dtype: torch.dtype) -> tuple[DynamicCache, Tensor]:
    """Keys and values (B, K, longest, d) of all rows, padded on the left, with room for as many tokens more, and the
    mask (B, longest): padding is 0. What was read is used up."""
    longest = max(len(places) for read in reads for places in read.places)
    device = reads[0].cache.layers[0].keys.device
    indices = [moved(_padded(read.places, longest), device) for read in reads]
    cache = DynamicCache()
    for block in range(len(reads[0].cache.layers)):
        layers = [read.cache.layers[block] for read in reads]
        keys = [layer.keys[0] for layer in layers]
        values = [layer.values[0] for layer in layers]
        cache.layers.append(_Roomy(_laid(keys, indices, room, dtype), _laid(values, indices, room, dtype), longest))
        for layer in layers:
            layer.reset()  # only one block's stand there twice at a time
    return cache, (torch.cat(indices) >= 0).long()


class _Roomy(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, K, length + room, d) of one block; those written so far are what it shows."""

    def __init__(self, keys: Tensor, values: Tensor, length: int) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self._keys, self._values = keys, values
        self._show(length)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        begin = self.keys.shape[2]
        self._show(begin + key_states.shape[2])
        self.keys[:, :, begin:], self.values[:, :, begin:] = key_states, value_states
        return self.keys, self.values

    def _show(self, length: int) -> None:
        self.keys, self.values = self._keys[:, :, :length], self._values[:, :, :length]


def _padded(rows: Sequence[Tensor], longest: int) -> Tensor:
    """(rows, longest), -1 before each."""
    index = torch.full((len(rows), longest), -1)
    for number, row in enumerate(rows):
        index[number, longest - len(row) :] = row
    return index


def _laid(states: Sequence[Tensor], indices: Sequence[Tensor], room: int, dtype: torch.dtype) -> Tensor:
    """(K, places, d) and (rows, longest) of each pack -> (B, K, longest + room, d)"""
    num_heads, _places, size = states[0].shape
    num_rows, longest = sum(len(index) for index in indices), indices[0].shape[1]
    laid = states[0].new_empty(num_rows, num_heads, longest + room, size, dtype=dtype)
    begin = 0
    for one, index in zip(states, indices, strict=True):
        # What is padding takes what stands first; nobody sees it.
        laid[begin : begin + len(index), :, :longest] = one[:, index.clamp(min=0)].transpose(0, 1)
        begin += len(index)
    return laid
