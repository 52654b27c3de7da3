"""Where a training stands: all that its next step depends on, and so all that a checkpoint must hold."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from webapp.contract.recipe import Recipe
from worker.engine.energy import EnergyMeter
from worker.engine.forward import Model
from worker.engine.measure import Measured
from worker.engine.optimizer import moments_of, optimizer_of, restore_moments

Weights = dict[str, Tensor]


class Standing(BaseModel):
    """The numbers of it; `state.json` in a checkpoint. Seconds and tokens count all attempts together."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    step: int = 0
    """The last one done. Which rows come next follows from it: seed and epoch alone decide their order."""
    tokens: int = 0
    seconds: float = 0.0
    """Of training."""
    total_seconds: float = 0.0
    """With loading and measuring."""
    best_loss: float = float("inf")
    best_step: int = 0
    held_out_loss: float | None = None
    watched_step: int = -1
    """The one after which the validation rows were last measured."""
    looks_without_better: int = 0
    """At the validation rows, since the best one."""
    peak_memory_bytes: int = 0
    base_answers: list[str] = []
    base_losses: list[float] = []
    base_num_labels: list[int] = []
    """Of the base on the held-out rows; empty until training is over, but for checkpoints of older versions."""
    base_general: list[list[float]] = []
    """What the base model makes of each general text, see `forgetting.py`; as late as its answers."""
    base_few: list[list[float]] = []
    """Of those few that are read while training, from the first time on that they are."""
    general_tokens: int = 0
    """Of general texts read while training, to keep that a small part of it."""
    energy_wh: float | None = None
    measuring_seconds: float = 0.0
    """What it took to measure the base model, and so about what the tuned one will take."""

    def note_base(self, measured: Measured) -> None:
        self.base_answers = measured.answers
        self.base_losses = measured.losses.tolist()
        self.base_num_labels = measured.num_labels.tolist()

    @property
    def base(self) -> Measured:
        return Measured(self.base_answers, np.array(self.base_losses), np.array(self.base_num_labels, dtype=np.int64))


class Training:
    """A model being trained: its trainable weights, their optimizer, and the best weights so far."""

    def __init__(self, model: Model, recipe: Recipe, standing: Standing, *, began: float) -> None:
        """`began`: on the monotonic clock, as if all attempts had been one."""
        self.model, self.standing, self.began = model, standing, began
        self.trainable: Weights = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self.best = copy_of(self.trainable)
        self.energy = EnergyMeter(standing.energy_wh)
        self.optimizer = optimizer_of(recipe, [one for one in model.parameters() if one.requires_grad])

    @property
    def is_on_card(self) -> bool:
        return next(iter(self.trainable.values())).is_cuda

    def end(self) -> None:
        """Put the best weights in, and let go of all that only a next step would need."""
        _put(self.trainable, self.best)
        self.best = {}
        self.optimizer.state.clear()
        self.optimizer.zero_grad(set_to_none=True)

    @contextmanager
    def best_in_place(self) -> Iterator[None]:
        """The best weights so far in the model, for a look at them; before the first look, those it began with."""
        _swap(self.trainable, self.best)
        try:
            yield
        finally:
            _swap(self.trainable, self.best)

    def tensors(self) -> dict[str, Weights]:
        """Every tensor of it by the name of the file it belongs in."""
        return {
            "weights": self.trainable,
            "best": self.best,
            "optimizer": moments_of(self.optimizer),
            "random": _dice(),
        }

    def restore(self, tensors: dict[str, Weights]) -> None:
        """Put back what `tensors` gave. The dice come last, as building the model has thrown them."""
        _put(self.trainable, tensors["weights"])
        _put(self.best, tensors["best"])
        restore_moments(self.optimizer, tensors["optimizer"])
        _restore_dice(tensors["random"])


def copy_of(weights: Weights) -> Weights:
    return {name: weight.detach().clone() for name, weight in weights.items()}


def peak_memory_bytes() -> int:
    """The most this process ever held: on the GPU if there is one, else in main memory (Linux counts kilobytes)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@torch.no_grad()
def _put(weights: Weights, values: Weights) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


@torch.no_grad()
def _swap(weights: Weights, values: Weights) -> None:
    for name, weight in weights.items():
        before = weight.detach().clone()
        weight.copy_(values[name])
        values[name] = before


def _dice() -> Weights:
    """The states of torch's random numbers, from which dropout draws. Nothing here draws from Python's or numpy's."""
    cards = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"processor": torch.get_rng_state()} | {f"card.{number}": state for number, state in enumerate(cards)}


def _restore_dice(states: Weights) -> None:
    """A machine with fewer cards than the last one takes as many states as it has cards."""
    torch.set_rng_state(states["processor"])
    for number in range(torch.cuda.device_count()):
        if f"card.{number}" in states:
            torch.cuda.set_rng_state(states[f"card.{number}"], number)
