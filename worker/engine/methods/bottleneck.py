"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751; Pfeiffer et al. 2021, arXiv 2005.00247).

Small modules with a bend, put into the base by hooks: each adds to what flows through a block what it makes of it.
Where they stand and what they are called is AdapterHub's way, so that the weights' own names are those of its files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from webapp.contract.model_shape import FAMILY_OF_TYPE, Family
from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.trained_base import head_of, make_trainable

NAME = "graftwork"
"""AdapterHub gives each adapter in a model a name; it is part of its weights' names."""

Placement = Literal["pfeiffer", "houlsby"]


class Bottlenecks(NamedTuple):
    """What was put into a model, kept there as `model.bottlenecks`."""

    placement: Placement
    reduction_factor: int | float


class Place(NamedTuple):
    after: str
    """The part of a block whose output is added to; "" is the block itself."""
    home: str
    """The part under which AdapterHub keeps the module; of its making if the name ends in _adapters."""


_BLOCK = [Place("", "output_adapters")]
_PLACES: dict[Placement, dict[Family, dict[str, list[Place]]]] = {
    "pfeiffer": {
        "llama": {"layers": _BLOCK},
        "gpt2": {"h": _BLOCK},
        "bert": {"encoder.layer": [Place("output.LayerNorm", "output")]},
        "t5": {"encoder.block": [Place("layer.1", "layer.1")], "decoder.block": [Place("layer.2", "layer.2")]},
    },
    "houlsby": {
        "llama": {"layers": [Place("self_attn", "attention_adapters"), Place("mlp", "output_adapters")]},
        "gpt2": {"h": [Place("attn", "attention_adapters"), Place("mlp", "output_adapters")]},
        "bert": {
            "encoder.layer": [Place("attention.output.dropout", "attention.output"), Place("output.dropout", "output")]
        },
        "t5": {
            "encoder.block": [Place("layer.0.dropout", "layer.0"), Place("layer.1.dropout", "layer.1")],
            # Between them the decoder attends to the encoder; AdapterHub puts nothing there.
            "decoder.block": [Place("layer.0.dropout", "layer.0"), Place("layer.2.dropout", "layer.2")],
        },
    },
}
"""Placement, family, stack of blocks -> places in each block. Pfeiffer's stand where all of a block has been added up,
Houlsby's where a part's output has not been added yet."""

_BENDS: dict[Placement, Callable[[], nn.Module]] = {"pfeiffer": nn.ReLU, "houlsby": nn.SiLU}


class Bottleneck(nn.Module):
    """Down to a few numbers, a bend, up again. In fp32 whatever the base is, and adding nothing at the start."""

    def __init__(self, hidden_size: int, narrow: int, bend: nn.Module) -> None:
        super().__init__()
        down = nn.Linear(hidden_size, narrow)
        self.adapter_down = nn.Sequential(down, bend)
        self.adapter_up = nn.Linear(narrow, hidden_size)
        self.is_on = True
        for weight in (down.bias, self.adapter_up.weight, self.adapter_up.bias):
            nn.init.zeros_(weight)

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = self.adapter_up(self.adapter_down(hidden.to(self.adapter_up.weight.dtype)))
        return added.to(hidden.dtype)

    def enable_adapters(self, enabled: bool) -> None:
        """As peft's layers are switched."""
        self.is_on = enabled


def build_bottleneck(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """The base itself with modules in its blocks; a classification head is trained along."""
    placement: Placement = "houlsby" if recipe.knobs["placement"] == "houlsby" else "pfeiffer"
    insert_bottlenecks(base, Bottlenecks(placement, recipe.whole("reduction_factor")))
    make_trainable(head_of(base))
    return base


def insert_bottlenecks(base: Model, bottlenecks: Bottlenecks) -> None:
    placement, reduction_factor = bottlenecks
    hidden_size = base.config.hidden_size
    narrow = max(1, int(hidden_size // reduction_factor))
    for stack, places in _PLACES[placement][FAMILY_OF_TYPE[base.config.model_type]].items():
        for block in base.base_model.get_submodule(stack):
            for place in places:
                module = Bottleneck(hidden_size, narrow, _BENDS[placement]()).to(base.device)
                _house(block, place.home, module)
                block.get_submodule(place.after).register_forward_hook(_hook(module))
    base.bottlenecks = bottlenecks


def _house(block: nn.Module, home: str, module: Bottleneck) -> None:
    if home.endswith("_adapters"):
        block.add_module(home, nn.Module())
    block.get_submodule(home).add_module("adapters", nn.ModuleDict({NAME: module}))


def _hook(bottleneck: Bottleneck) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
    """What a forward hook needs to be: it takes a part's output and gives the one to go on with."""

    def add(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if not bottleneck.is_on:
            return output
        if isinstance(part, nn.LayerNorm):  # BERT's: the module reads what is normed, and adds to what was not yet
            return part.forward(inputs[0] + bottleneck(output))
        if isinstance(output, tuple):
            return (output[0] + bottleneck(output[0]), *output[1:])
        return output + bottleneck(output)

    return add
