"""The small networks that make virtual tokens or prefixes while training. peft keeps only what they made, so that
training could not go on from it (huggingface/peft #2256); here they go along beside the adapter."""

from pathlib import Path

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from webapp.contract.job_dir import PROMPT_NETWORK
from worker.engine.forward import Model
from worker.engine.methods.peft_adapters import WEIGHTS, save_peft


def save_with_network(model: Model, folder: Path, reference: str) -> None:
    save_peft(model, folder, reference)
    weights = {name: one.detach().contiguous() for name, one in model.prompt_encoder["default"].named_parameters()}
    save_file(weights, folder / PROMPT_NETWORK, metadata={"format": "pt"})


@torch.no_grad()
def start_from_network(model: Model, folder: Path) -> None:
    network = model.prompt_encoder["default"]
    # The adapter's own file may hold a classification head; what else it holds, the network makes.
    adapter = {**load_file(folder / WEIGHTS), "prompt_embeddings": network.embedding.weight}
    set_peft_model_state_dict(model, adapter)
    for name, value in load_file(folder / PROMPT_NETWORK).items():
        network.get_parameter(name).copy_(value)
