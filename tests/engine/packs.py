"""Rows of token ids, and models whose adapters are set at random, to compare gradients with."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tests.tiny import tiny_recipe
from worker.engine.encode import Encoded
from worker.engine.forward import Model
from worker.engine.levers.norm import quicken_norms
from worker.engine.methods import ENGINE_METHODS

SHARED = [1, 2, 3, 4, 5]
ROWS = [[*SHARED, *[9] * 2], [*SHARED, *[8] * 6], [*SHARED, *[7] * 150, 3], [*SHARED, *[6] * 290]]


def row(ids: list[int], answer: int = 2) -> Encoded:
    return Encoded(ids, [False] * (len(ids) - answer) + [True] * answer, ids[:-answer])


def gradients(loss: Tensor, model: nn.Module) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def trained_model(base: Path, method: str, **knobs: Any) -> Model:
    """In 64 bits, its adapter at random, so that it does something and everything has a gradient."""
    torch.manual_seed(3)
    loaded = AutoModelForCausalLM.from_pretrained(base).requires_grad_(False)
    model = ENGINE_METHODS[method].build(loaded, tiny_recipe(base, method=method, **knobs), base).double()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad and method not in ("full", "freezing"):
                weight.normal_(std=0.2)
    quicken_norms(model)  # transformers' own compute in 32 bits, whatever they are given
    return model.eval()
