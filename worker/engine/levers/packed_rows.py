"""Rows laid end to end, without padding: what all of them begin with stands there once.

Linear layers, norms and adapters see one long text; only attention must know where a row begins and ends. Saved by
it, on 2 cores: see README, “Speed”.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from worker.engine.levers.copies import moved

LEAST_SHARED = 4
"""Tokens that rows must have in common at their start before it is worth a part of its own."""
PADDED_PAIRS = 4500
"""Rows go through attention together while that adds no more pairs of tokens than a call of its own costs in time."""
MULTIPLE = {"cpu": 16, "cuda": 128}
"""Packs are filled up to so many tokens, so that few sizes are seen: by a card's allocator and what was compiled for
it, and by the processor's library, which keeps two thirds of a megabyte for each size of a product it has met. Over 32
steps of SmolLM2 on some 400 tokens each, few of them of one size, that is 200 of 1,600 MB."""
PROCESSOR = torch.device("cpu")


class Group:
    """Neighbouring rows that go through attention together, each padded to the longest of them. Its tensors are made
    once, for all blocks of a model."""

    def __init__(self, begin: int, lengths: Sequence[int], *, sees: int, device: torch.device = PROCESSOR) -> None:
        """`begin`: of the first row in the pack. `sees`: tokens at the start of the pack that stand before each."""
        self.lengths, self.sees, self._device = list(lengths), sees, device
        self.begin, self.end = begin, begin + sum(lengths)
        self.longest = max(lengths)

    @property
    def is_even(self) -> bool:
        return len(set(self.lengths)) == 1

    @cached_property
    def into(self) -> Tensor:
        """(rows * longest,): the token of this group for each place; padding repeats the row's last one."""
        ends = torch.tensor(self.lengths).cumsum(0)
        begins = ends - torch.tensor(self.lengths)
        index = torch.minimum(begins[:, None] + torch.arange(self.longest)[None], ends[:, None] - 1)
        return moved(index.flatten(), self._device)

    @cached_property
    def back(self) -> Tensor:
        """(tokens,): the place of each token."""
        is_token = torch.arange(self.longest)[None] < torch.tensor(self.lengths)[:, None]  # (rows, longest)
        return moved(is_token.flatten().nonzero()[:, 0], self._device)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the rows lie in a pack: what they share first, then each without it."""

    shared: int
    starts: list[int]
    groups: list[Group]
    positions: Tensor
    """(tokens,): of each token in its row."""
    device: torch.device

    def place(self, row: int, position: int) -> int:
        """Where in the pack the token of a row stands."""
        return position if position < self.shared else self.starts[row] + position - self.shared

    def places(self, row: int, length: int) -> Tensor:
        """(length,): where a row's first tokens stand."""
        shared, start = min(length, self.shared), self.starts[row]
        return torch.cat([torch.arange(shared), torch.arange(start, start + length - shared)])


class Pack(NamedTuple):
    ids: Tensor
    """(tokens,) without the virtual ones."""
    layout: Layout


def pack(
    rows: Sequence[Sequence[int]],
    *,
    num_virtual: int = 0,
    shares: bool = True,
    device: torch.device = PROCESSOR,
    multiple: int = 1,
) -> Pack:
    """Lay rows end to end. Virtual tokens stand before what the rows share, in the layout but not in the ids. What
    lacks to a multiple is filled up by a last row that nobody asks for."""
    common = _common(rows) if shares and len(rows) > 1 else 0
    if common < LEAST_SHARED and not num_virtual:
        common = 0
    shared = common + num_virtual if len(rows) > 1 else num_virtual
    own = [row[common:] for row in rows]
    ids = [*rows[0][:common], *(one for row in own for one in row)]
    lengths = [len(row) for row in own]
    positions = [torch.arange(shared), *(torch.arange(shared, shared + length) for length in lengths)]
    if filling := -(shared + sum(lengths)) % multiple:
        lengths.append(filling)
        ids += [0] * filling
        positions.append(torch.arange(filling))
    starts = [shared + sum(lengths[:index]) for index in range(len(lengths))]
    groups = [Group(0, [shared], sees=0, device=device)] if shared else []
    groups += [Group(starts[one], lengths[one:other], sees=shared, device=device) for one, other in _runs(lengths)]
    layout = Layout(shared, starts[: len(rows)], groups, moved(torch.cat(positions), device), device)
    return Pack(moved(torch.tensor(ids), device), layout)


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Tokens that all rows begin with; each keeps at least one of its own."""
    most = min(len(row) for row in rows) - 1
    first, last = min(map(list, rows)), max(map(list, rows))
    return next((at for at in range(most) if first[at] != last[at]), max(0, most))


def _runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Cut rows, in order, into runs that are padded to their longest."""
    runs = []
    begin = 0
    for at in range(1, len(lengths) + 1):
        if at == len(lengths) or not _are_near(lengths[begin : at + 1]):
            runs.append((begin, at))
            begin = at
    return runs


def _are_near(lengths: Sequence[int]) -> bool:
    padded = len(lengths) * max(lengths) ** 2 - sum(length**2 for length in lengths)
    return padded <= PADDED_PAIRS * (len(lengths) - 1)
