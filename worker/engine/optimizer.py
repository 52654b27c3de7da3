"""The optimizer of a recipe: AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), in one pass over the weights; or
with its moments in 8 bits, by the library bitsandbytes (Dettmers et al. 2022, arXiv 2110.02861).

PyTorch's fused kernel takes a third of the time of its plain one, on a processor too. bitsandbytes waits for a card
after each weight, and keeps those of fewer than 4,096 numbers in 32 bits.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from webapp.contract.recipe import Recipe
from worker.engine.errors import TrainingError

Optimizer = torch.optim.Optimizer

_SAME_FOR_ALL = frozenset({"qmap1", "qmap2"})
"""bitsandbytes' tables of what its 256 values stand for."""


def optimizer_of(recipe: Recipe, weights: Sequence[Parameter]) -> Optimizer:
    """Raises TrainingError where this machine cannot run it."""
    kind = str(recipe.knobs.get("optimizer", "adamw"))
    rate, decay = recipe.number("learning_rate"), recipe.number("weight_decay")
    if kind == "adamw":
        return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=True)
    if problem := optimizer_problem(recipe, weights[0].device):
        raise TrainingError("worker_lacks", problem)
    eight_bits: Any = import_module("bitsandbytes.optim")  # an extra, so not among the imports
    is_paged = kind == "paged_adamw_8bit"
    optimizer: Optimizer = eight_bits.AdamW8bit(weights, lr=rate, weight_decay=decay, is_paged=is_paged)
    return optimizer


def optimizer_problem(recipe: Recipe, device: torch.device) -> str | None:
    """Why the recipe's optimizer does not run here, and what to change."""
    kind = recipe.knobs.get("optimizer", "adamw")
    if kind != "adamw" and find_spec("bitsandbytes") is None:
        return (
            "This worker has no 8-bit optimizer: the package bitsandbytes is missing. Install graftwork[quantised] "
            "there, or set “Optimizer” to “AdamW”."
        )
    if kind == "paged_adamw_8bit" and device.type != "cuda":
        return (
            "A paged optimizer moves between an NVIDIA GPU and main memory, and this worker computes on its processor. "
            "Set “Optimizer” to “AdamW in 8 bits”, or choose a worker with a GPU."
        )
    return None


def moments_of(optimizer: Optimizer) -> dict[str, Tensor]:
    """All that its next step depends on, by number of the weight and name."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, weight in enumerate(_weights(optimizer))
        for name, value in optimizer.state.get(weight, {}).items()
        if name not in _SAME_FOR_ALL
    }


def restore_moments(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `moments_of` gave."""
    states: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        number, _dot, name = key.partition(".")
        states.setdefault(int(number), {})[name] = tensor
    if isinstance(optimizer, torch.optim.AdamW):
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        return
    for at, state in states.items():
        _restore_8_bits(optimizer, at, state)


def _restore_8_bits(optimizer: Any, number: int, state: dict[str, Tensor]) -> None:
    """Into buffers that the library has made itself, since those of a paged one are of a kind of their own."""
    weight = _weights(optimizer)[number]
    optimizer.init_state(optimizer.param_groups[0], weight, 0, number)
    room = optimizer.state[weight]
    room["step"] = int(state["step"])
    for name in state.keys() - {"step"}:
        room[name].copy_(state[name])


def _weights(optimizer: Optimizer) -> list[Parameter]:
    weights: list[Parameter] = optimizer.param_groups[0]["params"]
    return weights
