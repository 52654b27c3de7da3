"""Layer freezing (Lee et al. 2019, arXiv 1911.03090): the last blocks of the base are trained, the rest is not.

What is kept is a delta: the changed weights under the base's own names, to be loaded over it.
"""

from itertools import chain
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from webapp.contract.model_shape import FAMILY_OF_TYPE, Family
from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.trained_base import head_of, make_trainable

WEIGHTS = "delta.safetensors"

_STACKS: dict[Family, tuple[str, ...]] = {
    "llama": ("layers",),
    "gpt2": ("h",),
    "bert": ("encoder.layer",),
    "t5": ("encoder.block", "decoder.block"),
}


def build_freezing(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """The base itself, with `num_blocks` of each stack to be trained, and a classification head if there is one."""
    num_blocks, also = recipe.whole("num_blocks"), str(recipe.knobs["also"])
    for stack in _STACKS[FAMILY_OF_TYPE[base.config.model_type]]:
        blocks: nn.ModuleList = base.base_model.get_submodule(stack)
        make_trainable(chain.from_iterable(block.parameters() for block in blocks[-num_blocks:]))
        for block in blocks[:-num_blocks]:
            make_trainable(weight for name, weight in block.named_parameters() if _is_part(name, also))
    make_trainable(head_of(base))
    return base


def save_delta(model: Model, folder: Path, reference: str) -> None:
    kept_as = model.config.dtype
    delta = {name: one.detach().to(kept_as) for name, one in model.named_parameters() if one.requires_grad}
    save_file(delta, folder / WEIGHTS, metadata={"format": "pt", "base_model": reference})


@torch.no_grad()
def start_from_delta(model: Model, folder: Path) -> None:
    for name, value in load_file(folder / WEIGHTS).items():
        model.get_parameter(name).copy_(value)


def _is_part(name: str, also: str) -> bool:
    """Whether a weight of a frozen block, by its name there, is to be trained all the same."""
    if also == "norms":
        return "norm" in name.lower() or name.startswith("ln_")
    return also == "biases" and name.endswith(".bias")
