"""Layer freezing's frozen blocks computed once a row: what comes out of them is kept on the disk, and later epochs
begin at the first block that is trained (Brock et al. 2017, arXiv 1706.04983, freeze with the same thrift).

Chosen where whole blocks at the start are frozen, nothing in them is drawn by lot, and the disk has room. Read and
written past the memory map, so that what is kept does not count as memory of the process.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from worker.engine.levers.packed_rows import Layout

SHARE_OF_DISK = 0.25
"""Of what is free, for what is kept."""

Row = Sequence[int]


class FrozenTrunk:
    """The states (tokens, H) of each row before the first trained block, by the row's own tokens."""

    def __init__(self, decoder: Any, num_frozen: int, path: Path, most_bytes: int) -> None:
        """`decoder`: its blocks are its `layers`, `num_frozen` of them frozen."""
        self._decoder, self._frozen, self._most_bytes = decoder, num_frozen, most_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._offsets: dict[tuple[int, ...], int] = {}
        self._end = 0

    def states(self, rows: Sequence[Row], layout: Layout, run: Callable[[Tensor | None], Tensor]) -> Tensor:
        """Last hidden states of packed rows. `run` takes what goes into the blocks, None for the usual."""
        keys = [tuple(row) for row in rows]
        if all(key in self._offsets for key in keys):
            with self._trained_blocks_only():
                return run(self._packed(keys, layout)[None])
        with self._listening() as heard:
            output = run(None)
        self._keep(keys, layout, heard[0][0])
        return output

    def _packed(self, keys: Sequence[tuple[int, ...]], layout: Layout) -> Tensor:
        read = [self._read(key) for key in keys]
        states = torch.cat([read[0][: layout.shared], *(one[layout.shared :] for one in read)])
        return pad(states, (0, 0, 0, len(layout.positions) - len(states)))  # a pack on a card may be filled up

    def _read(self, key: tuple[int, ...]) -> Tensor:
        weight = self._decoder.get_input_embeddings().weight
        states = torch.empty(len(key), weight.shape[1], dtype=weight.dtype)
        os.preadv(self._file, [states.view(torch.uint8).numpy().data], self._offsets[key])
        return states.to(weight.device, non_blocking=True)

    def _keep(self, keys: Sequence[tuple[int, ...]], layout: Layout, states: Tensor) -> None:
        for row, key in enumerate(keys):
            own = states[layout.starts[row] : layout.starts[row] + len(key) - layout.shared]
            whole = torch.cat([states[: layout.shared], own]).detach().cpu()
            if key in self._offsets or self._end + whole.nbytes > self._most_bytes:
                continue
            os.pwrite(self._file, whole.view(torch.uint8).numpy().data, self._end)
            self._offsets[key] = self._end
            self._end += whole.nbytes

    @contextmanager
    def _trained_blocks_only(self) -> Iterator[None]:
        blocks = self._decoder.layers
        self._decoder.layers = nn.ModuleList(blocks[self._frozen :])
        try:
            yield
        finally:
            self._decoder.layers = blocks

    @contextmanager
    def _listening(self) -> Iterator[list[Tensor]]:
        """What the first trained block is given."""
        heard: list[Tensor] = []
        handle = self._decoder.layers[self._frozen].register_forward_pre_hook(
            lambda _block, inputs: heard.append(inputs[0])
        )
        try:
            yield heard
        finally:
            handle.remove()


def remember_trunk(causal: Any, folder: Path, num_tokens: int) -> None:
    """Give a model with its frozen blocks in front a trunk that is remembered in the folder, if `num_tokens` of rows
    have room there."""
    decoder = causal.base_model
    blocks = getattr(decoder, "layers", [])
    trains = [any(weight.requires_grad for weight in block.parameters()) for block in blocks]
    if not any(trains) or trains[0] or _is_drawn(causal):
        return
    embeddings = decoder.get_input_embeddings().weight
    room = int(SHARE_OF_DISK * shutil.disk_usage(folder.parent).free)
    if embeddings.requires_grad or num_tokens * embeddings.shape[1] * embeddings.element_size() > room:
        return
    folder.mkdir(exist_ok=True)
    causal.frozen_trunk = FrozenTrunk(decoder, trains.index(True), folder / "frozen_trunk", room)


def _is_drawn(causal: Any) -> bool:
    """Whether something in the blocks is left to chance while training."""
    dropouts = [module.p for module in causal.base_model.modules() if isinstance(module, nn.Dropout)]
    return any(dropouts) or bool(getattr(causal.config, "attention_dropout", 0))
