"""Bottleneck adapters on every type of model they are for, tiny: made, given weights that do something, asked."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny import make_bert, make_gpt2, make_llama, make_roberta, make_t5, make_tokenizer, tiny_recipe
from webapp.contract.tasks import Task
from worker.engine.forward import Model
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base

LABELS = ["yes", "no", "neither"]
IDS = torch.arange(7, 19)[None]


class BottleneckCell(NamedTuple):
    kind: str
    task: Task
    placement: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.task}-{self.placement}"

    @property
    def has_head(self) -> bool:
        return self.task == "classify"

    @property
    def labels(self) -> Tensor:
        """To train on."""
        return torch.tensor([1]) if self.has_head else IDS


CELLS = [
    BottleneckCell(kind, task, placement)
    for kind, task in (
        ("bert", "classify"), ("roberta", "classify"), ("llama", "classify"), ("gpt2", "classify"),
        ("llama", "generate"), ("mistral", "generate"), ("qwen2", "generate"), ("gpt2", "generate"),
        ("t5", "transform"),
    )
    for placement in ("pfeiffer", "houlsby")
]  # fmt: skip


ROPE = {"rope_type": "default", "rope_theta": 100_000.0}
"""Not the default, which an older transformers falls back to if it is not told."""


def _make_like_llama(kind: str, folder: Path) -> Path:
    """`kind`: a model's type whose config has Llama's names."""
    config = AutoConfig.for_model(
        kind, vocab_size=80, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2, eos_token_id=1, pad_token_id=0,
        bos_token_id=None, rope_parameters=ROPE,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def _make_t5(folder: Path) -> Path:
    """With a head apart from the embeddings, as all T5 of version 1.1 have it."""
    weights = load_file(make_t5(folder) / "model.safetensors")
    head = torch.randn(weights["shared.weight"].shape)
    save_file({**weights, "lm_head.weight": head}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


MAKERS = {
    "bert": make_bert, "roberta": make_roberta, "gpt2": make_gpt2, "t5": _make_t5,
    "llama": partial(make_llama, rope_parameters=ROPE),
    "mistral": partial(_make_like_llama, "mistral"), "qwen2": partial(_make_like_llama, "qwen2"),
}  # fmt: skip


def base_of(cell: BottleneckCell, folder: Path, dtype: torch.dtype = torch.float32) -> Model:
    """Loaded as the engine does; what is not in the folder, a head or a pooler, is the same each time."""
    if not folder.exists():
        MAKERS[cell.kind](folder)
    torch.manual_seed(3)
    labels = LABELS if cell.has_head else []
    return load_base(folder, cell.task, Place(torch.device("cpu"), dtype, torch.float32), labels)


def built(cell: BottleneckCell, folder: Path, dtype: torch.dtype = torch.float32) -> Model:
    """As it is before its first step."""
    base = base_of(cell, folder, dtype)
    recipe = tiny_recipe(folder, task=cell.task, method="bottleneck", placement=cell.placement, reduction_factor=4)
    return ENGINE_METHODS["bottleneck"].build(base, recipe, folder)


@torch.no_grad()
def with_random_weights(model: Model, std: float = 0.2) -> Model:
    """So that the adapter does something, as after training."""
    torch.manual_seed(5)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.normal_(std=std)
    return model


@torch.no_grad()
def logits_of(model: Model) -> Tensor:
    return model(**inputs_of(model)).logits.float()  # type: ignore[no-any-return]


def inputs_of(model: Model) -> dict[str, Any]:
    if model.config.is_encoder_decoder:
        return {"input_ids": IDS, "decoder_input_ids": IDS[:, 3:8]}
    return {"input_ids": IDS}
