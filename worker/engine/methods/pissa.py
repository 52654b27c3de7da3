"""PiSSA (Meng et al. 2024, arXiv 2404.02948): LoRA that starts at the largest directions of the base's weights.

The paper takes that start out of the base's weights. Here it is a second, frozen adapter that is subtracted, so that
the base stays what it is, to the last bit: W x + s (B A - B0 A0) x. Kept is one plain LoRA of twice the rank.
"""

from dataclasses import replace

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor

from worker.engine.forward import Model

START = "start"
EXACT_UP_TO = 1_500_000
"""Weights of a matrix that is taken apart exactly; of a larger one only the largest directions are looked for, which
is a hundred times faster (Halko et al. 2011)."""


@torch.no_grad()
def start_as_pissa(model: Model) -> None:
    """Give the adapter its start, and add the frozen one that takes it away again."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    # Not by the way of `add_adapter`, which would give it a classification head of its own.
    model.peft_config[START] = replace(model.peft_config["default"], modules_to_save=None)
    model.base_model.inject_adapter(model.base_model.model, START)
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            scale = layer.scaling["default"]
            weight = layer.get_base_layer().weight.float()
            down, up = _largest_directions(weight.T if layer.fan_in_fan_out else weight, layer.r["default"], scale)
            layer.lora_A["default"].weight.copy_(down)
            layer.lora_B["default"].weight.copy_(up)
            layer.lora_A[START].weight.copy_(down)
            layer.lora_B[START].weight.copy_(-up)
    model.base_model.set_adapter(["default", START])
    for name, weight in model.named_parameters():
        weight.requires_grad_(name in trained)


def has_start(model: Model) -> bool:
    return START in model.peft_config


def _largest_directions(weight: Tensor, rank: int, scale: float) -> tuple[Tensor, Tensor]:
    """A (rank, inputs) and B (outputs, rank) with scale * B A the best approximation of a weight (outputs, inputs)."""
    if weight.numel() <= EXACT_UP_TO:
        left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
    else:
        left, sizes, right = torch.svd_lowrank(weight, q=rank + 8, niter=8)
        right = right.T
    root = (sizes[:rank] / scale).sqrt()
    return root[:, None] * right[:rank], left[:, :rank] * root
