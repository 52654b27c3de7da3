"""A step's loss and the size of its gradient, read without making a card wait for the processor.

A card works through what was queued for it, and to read a number of it is to wait until all before it is done. So
there they are read when the next step has been queued, one step late; a processor has them at once.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Figures(NamedTuple):
    """Of one step; `tokens` are all since the start."""

    step: int
    learning_rate: float
    tokens: int
    loss: float = 0.0
    norm: float = 0.0


class FiguresOnTheWay:
    """From the device to where they are told. `is_late`: they arrive when those of the next step set out."""

    def __init__(self, *, is_late: bool) -> None:
        self._is_late = is_late
        self._on_the_way: tuple[Figures, Tensor, torch.cuda.Event | None] | None = None

    def send(self, figures: Figures, loss: Tensor, norm: Tensor) -> Figures | None:
        """Let a step's set out, without waiting; returns those that arrive meanwhile."""
        before = self.arrive()
        both = torch.stack([loss.double(), norm.double()])
        here = both.to("cpu", non_blocking=True)
        event = torch.cuda.Event() if both.is_cuda else None  # type: ignore[no-untyped-call]
        if event is not None:
            event.record()
        self._on_the_way = figures, here, event
        return before if self._is_late else self.arrive()

    def arrive(self) -> Figures | None:
        """Wait for what is on the way; None if nothing is."""
        if self._on_the_way is None:
            return None
        figures, here, event = self._on_the_way
        self._on_the_way = None
        if event is not None:
            event.synchronize()
        loss, norm = here.tolist()
        return figures._replace(loss=loss, norm=norm)
