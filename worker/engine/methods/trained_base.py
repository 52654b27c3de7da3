"""Training the base's own weights: in fp32, since small steps would be lost in 16 bits, and kept as the base is."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from worker.engine.forward import Model
from worker.engine.methods.fresh_pooler import fresh_pooler


def make_trainable(weights: Iterable[Parameter]) -> None:
    for weight in weights:
        weight.data = weight.data.float()
        weight.requires_grad_(True)


@torch.no_grad()
def settle(model: Model, computed: torch.dtype) -> None:
    """Round what was trained to how the base is kept, so that the verdict is on the very weights that ship."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(model.config.dtype).to(computed)


def head_of(model: Model) -> list[Parameter]:
    """The weights of a fresh classification head, and of a fresh pooler; none for other tasks."""
    head = [weight for name, weight in model.named_parameters() if name.startswith(("classifier.", "score."))]
    return [*fresh_pooler(model).values(), *head]
