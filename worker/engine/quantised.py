"""The frozen base in 4 bits (QLoRA, Dettmers et al. 2023, arXiv 2305.14314), by the library bitsandbytes.

It is an extra, since it is large and of use to those alone whose model would not fit otherwise.
"""

from importlib.util import find_spec
from typing import Any

import torch
from torch.nn import Parameter
from transformers import BitsAndBytesConfig

from worker.engine.errors import TrainingError
from worker.engine.forward import Model


def in_4_bits(device: torch.device, computed: torch.dtype) -> dict[str, Any]:
    """Options for `from_pretrained`. Raises TrainingError where the library is missing."""
    if find_spec("bitsandbytes") is None:
        message = (
            "This worker cannot keep a base model in 4 bits: the package bitsandbytes is missing. Install "
            "graftwork[quantised] there, or set “Base weights” to “As they are”."
        )
        raise TrainingError("worker_lacks", message)
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def keep_differentiable(model: Model) -> None:
    """On processors that multiply bf16, bitsandbytes 0.50 repacks a weight for good at its first use without
    gradients. From then on no gradient goes through that layer, without a word, and it computes in bf16 alone."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def how_many(weight: Parameter) -> int:
    """Numbers in a weight, also where two of them share a byte."""
    return weight.numel() * (2 if type(weight).__name__ == "Params4bit" else 1)
