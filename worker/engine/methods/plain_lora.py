"""LoRA as every runtime reads it: whatever it was trained as, one A and one B a layer, scaled by alpha / rank.

Converters and servers pass over what they do not know: llama.cpp's takes rsLoRA for plain LoRA without a word, and no
runtime but peft knows PiSSA. So their scale and start are worked into the matrices. DoRA stays what it is.
"""

from pathlib import Path

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from worker.engine.forward import Model
from worker.engine.methods.peft_adapters import WEIGHTS, save_peft
from worker.engine.methods.pissa import START, has_start


def save_lora(model: Model, folder: Path, reference: str) -> None:
    config = model.peft_config["default"]
    if not (config.use_rslora or has_start(model)):
        save_peft(model, folder, reference)
        return
    scale = config.lora_alpha / (config.r**0.5 if config.use_rslora else config.r)
    weights = _scaled(get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False), scale)
    if has_start(model):
        start = get_peft_model_state_dict(model, adapter_name=START, save_embedding_layers=False)
        weights = _side_by_side(weights, _scaled(start, scale))
    rank = config.r * (2 if has_start(model) else 1)
    changed = {"r": rank, "lora_alpha": rank, "use_rslora": False, "base_model_name_or_path": reference}
    plain = type(config)(**{**config.to_dict(), **changed, "inference_mode": True})
    plain.save_pretrained(folder)
    save_file({name: one.contiguous() for name, one in weights.items()}, folder / WEIGHTS, metadata={"format": "pt"})


def _scaled(weights: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    return {name: one * scale if ".lora_B." in name else one for name, one in weights.items()}


def _side_by_side(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """The sum of two adapters as one: A (2 rank, inputs), B (outputs, 2 rank). A head is the first one's."""
    joined = dict(one)
    for name in one:
        if ".lora_A." in name:
            joined[name] = torch.cat([one[name], other[name]], dim=0)
        elif ".lora_B." in name:
            joined[name] = torch.cat([one[name], other[name]], dim=1)
    return joined
