"""Bottleneck adapters on the disk: the files that AdapterHub's library `adapters` writes and reads.

Its own way would be to pickle; we write and read its other one, safetensors. tests/interop holds that both
libraries understand each other's files.
"""

import json
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import load_file, save_file

from worker.engine.forward import Model
from worker.engine.methods.bottleneck import NAME, Bottlenecks, Placement, insert_bottlenecks

CONFIG, WEIGHTS = "adapter_config.json", "adapter.safetensors"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
VERSION = "adapters.1.3.0"

_ALIKE: dict[str, Any] = {
    "adapter_residual_before_ln": False, "cross_adapter": False, "dropout": 0.0, "init_weights_seed": None,
    "inv_adapter": None, "inv_adapter_reduction_factor": None, "is_parallel": False, "leave_out": [],
    "ln_after": False, "ln_before": False, "original_ln_after": True, "output_adapter": True,
    "residual_before_ln": True, "scaling": 1.0, "stochastic_depth": 0.0, "use_gating": False, "phm_layer": False,
}  # fmt: skip
_UNUSED: dict[str, Any] = {
    "init_weights": "mam_adapter", "factorized_phm_W": True, "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform", "learn_phm": True, "phm_bias": True, "phm_c_init": "normal",
    "phm_dim": 4, "phm_init_range": 0.0001, "phm_rank": 1, "shared_W_phm": False, "shared_phm_rule": True,
}  # fmt: skip
"""Says nothing about what a trained adapter computes. Ours start as its `mam_adapter` ones do."""
_PLACED: dict[Placement, dict[str, Any]] = {
    "pfeiffer": {"mh_adapter": False, "non_linearity": "relu", "original_ln_before": True},
    "houlsby": {"mh_adapter": True, "non_linearity": "swish", "original_ln_before": False},
}


def save_bottleneck(model: Model, folder: Path, reference: str) -> None:
    """Weights and config, and a classification head's; `reference` names the base model."""
    placement, reduction_factor = model.bottlenecks
    config = _ALIKE | _UNUSED | _PLACED[placement] | {"reduction_factor": reduction_factor}
    told = {
        "hidden_size": model.config.hidden_size,
        "model_class": type(model).__name__,
        "model_name": reference,
        "model_type": model.config.model_type,
        "version": VERSION,
    }
    trained = {name: one.detach().contiguous() for name, one in model.named_parameters() if one.requires_grad}
    head = {name: trained.pop(name) for name in list(trained) if f".adapters.{NAME}." not in name}
    _write(folder / CONFIG, {**told, "config": config, "name": NAME})
    save_file(trained, folder / WEIGHTS)
    if head:
        labels = {"label2id": model.config.label2id, "num_labels": model.config.num_labels}
        _write(folder / HEAD_CONFIG, {**told, **labels, "config": None, "name": None})
        save_file(head, folder / HEAD_WEIGHTS)


@torch.no_grad()
def start_from_bottleneck(model: Model, folder: Path) -> None:
    """Put an adapter's weights into modules of its make, which are there already."""
    name = json.loads((folder / CONFIG).read_text())["name"]
    for file in (folder / WEIGHTS, folder / HEAD_WEIGHTS):
        for key, value in (load_file(file) if file.exists() else {}).items():
            model.get_parameter(key.replace(f".adapters.{name}.", f".adapters.{NAME}.")).copy_(value)


def load_bottleneck(base: Model, folder: Path) -> Model:
    """The base itself with the adapter in it, to be used. Raises ValueError for one that it cannot compute."""
    insert_bottlenecks(base, _read(folder / CONFIG))
    start_from_bottleneck(base, folder)
    return base.requires_grad_(False).eval()


def _read(path: Path) -> Bottlenecks:
    config = json.loads(path.read_text())["config"]
    for placement in get_args(Placement):
        is_number = isinstance(config["reduction_factor"], int | float)
        if is_number and (_ALIKE | _PLACED[placement]).items() <= config.items():
            return Bottlenecks(placement, config["reduction_factor"])
    raise ValueError(f"{path} is neither of Pfeiffer's kind nor of Houlsby's, the two that are known here.")


def _write(path: Path, told: dict[str, Any]) -> None:
    path.write_text(json.dumps(told, indent=2, sort_keys=True))
