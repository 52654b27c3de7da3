"""The small networks that make virtual tokens or prefixes while training. peft keeps only what they made, so that
training could not go on from it (huggingface/peft #2256); here they go along beside the adapter."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from webapp.contract.job_dir import PROMPT_NETWORK
from worker.engine.forward import Model
from worker.engine.methods.peft_adapters import save_peft, start_from_peft


def save_with_network(model: Model, folder: Path, reference: str) -> None:
    save_peft(model, folder, reference)
    weights = {name: one.detach().contiguous() for name, one in model.prompt_encoder["default"].named_parameters()}
    save_file(weights, folder / PROMPT_NETWORK, metadata={"format": "pt"})


@torch.no_grad()
def start_from_network(model: Model, folder: Path) -> None:
    start_from_peft(model, folder)  # it also holds a classification head
    for name, value in load_file(folder / PROMPT_NETWORK).items():
        model.prompt_encoder["default"].get_parameter(name).copy_(value)
