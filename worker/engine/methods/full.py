"""Full fine-tuning: every weight is trained, and the result is a whole model as transformers writes it."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.trained_base import make_trainable

WEIGHTS = "model.safetensors"
ONE_FILE = "1000GB"


def build_full(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    make_trainable(base.parameters())
    return base


def save_full(model: Model, folder: Path, reference: str) -> None:
    model.to(model.config.dtype).save_pretrained(folder, max_shard_size=ONE_FILE)
    _tell_version_4(folder / "config.json")


@torch.no_grad()
def start_from_full(model: Model, folder: Path) -> None:
    for name, value in load_file(folder / WEIGHTS).items():
        model.get_parameter(name).copy_(value)


def _tell_version_4(path: Path) -> None:
    """Two things that transformers 5 writes under new names alone. Version 4 would not miss them, but compute with
    rotations of its own default of 10000, and scale what a T5 of version 1.1 puts out as if it were one of 1.0."""
    config = json.loads(path.read_text())
    if "rope_theta" in (rope := config.get("rope_parameters") or {}):
        config["rope_theta"] = rope["rope_theta"]
    if config.get("scale_decoder_outputs") is False:
        config["tie_word_embeddings"] = False
    path.write_text(json.dumps(config, indent=2) + "\n")
