"""The base model as it was before anything was put into it, had again from the model in training, without a second one.

What a method has added is switched off. Weights of the base that are themselves trained get back the values they came
with for as long as one looks: from the model's own files where these hold the very same numbers, else from a copy.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from safetensors import safe_open
from torch import Tensor
from torch.nn import Parameter

from worker.engine.forward import Model, unwrapped
from worker.engine.methods.bottleneck import Bottleneck
from worker.engine.save import weight_files


class InFile(NamedTuple):
    """Where a weight's first value lies."""

    path: Path
    name: str

    def read(self) -> Tensor:
        with safe_open(self.path, "pt") as file:
            tensor: Tensor = file.get_tensor(self.name)
        return tensor


class Untouched:
    """To be made right after a method was built, before anything else is put into its model; the model is the loaded
    base, wrapped or not."""

    def __init__(self, model: Model, own: Iterable[tuple[str, Parameter]], folder: Path, dtype: torch.dtype) -> None:
        """`own`: the weights that the base had before the method, in `dtype`; `folder`: where it was loaded from."""
        self._model, self._dtype = model, dtype
        self._trained = {name: weight for name, weight in own if weight.requires_grad}
        kept = {name: path for path in weight_files(folder) for name in _names_in(path)} if self._trained else {}
        prefix = f"{unwrapped(model).base_model_prefix}."
        self._first: dict[str, InFile | Tensor] = {
            name: _in_a_file(weight, [name, name.removeprefix(prefix), prefix + name], kept, dtype)
            or weight.detach().to(dtype, copy=True)
            for name, weight in self._trained.items()
        }

    @contextmanager
    def base(self) -> Iterator[Model]:
        """The base to be looked at, as it computes by itself; afterwards all is as it was."""
        model = self._model
        switches = [module for module in model.modules() if isinstance(module, _SWITCHED)]
        # Off and on again, peft's layers would train what had been frozen.
        flags = [(weight, weight.requires_grad) for weight in model.parameters()]
        now = {name: weight.data for name, weight in self._trained.items()}
        try:
            for module in switches:
                module.enable_adapters(False)
            for name, weight in self._trained.items():
                weight.data = self._value(name).to(weight.device)
            causal = unwrapped(model).eval()
            with torch.autocast(causal.device.type, enabled=False):
                yield causal
        finally:
            for name, weight in self._trained.items():
                weight.data = now[name]
            for module in switches:
                module.enable_adapters(True)
            for weight, flag in flags:
                weight.requires_grad_(flag)

    def _value(self, name: str) -> Tensor:
        first = self._first[name]
        # A copy, since the file's own bytes need not begin where fast arithmetic wants them to.
        return first.read().to(self._dtype, copy=True) if isinstance(first, InFile) else first


_SWITCHED = (BaseTunerLayer, AuxiliaryTrainingWrapper, Bottleneck)


def _names_in(path: Path) -> list[str]:
    with safe_open(path, "pt") as file:
        return list(file.keys())


def _in_a_file(weight: Parameter, names: list[str], kept: dict[str, Path], dtype: torch.dtype) -> InFile | None:
    """Whether a file holds it, under one of the names, is seen by its numbers: nothing else has to be known of how
    transformers names, ties and converts what it loads."""
    value = weight.detach().to(dtype).cpu()
    for name in names:
        if name in kept:
            found = InFile(kept[name], name)
            if torch.equal(found.read().to(dtype), value):
                return found
    return None
