"""What a model folder says of itself, read without torch: its config.json, and the headers of its weights."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from webapp.contract.model_config import SMALL_FILE_BYTES, NotABaseModel, code_problem, read_json, size_problem
from webapp.contract.model_shape import FAMILY_OF_TYPE, BlockCounts, Family, ModelShape
from webapp.contract.safetensors_header import FLOATS, Tensor, read_tensors
from webapp.contract.tokenizer_file import tokenizer_size

_INDEX = "model.safetensors.index.json"
_CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")
_READ = (".json", ".txt", ".jinja", ".model")
"""Ends of the names of files that are read as a whole."""
_BLOCK = re.compile(r"(?:^|\.)(?:(encoder|decoder)\.)?(?:layers?|h|block)\.(\d{1,6})\.")
"""Stack and number of the block that a weight belongs to; only an encoder-decoder has a stack named decoder."""
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "shared.weight")
"""Ends of the name of the table that has a row for each token."""
_NORM = re.compile(r"norm|\.ln_\d", re.IGNORECASE)
_UNBOUNDED_LENGTH = 512
"""A T5 counts positions relative to each other and so names no longest text; it was trained on this many tokens."""


class FolderReport(BaseModel):
    """What a model folder holds, for the person who registers it."""

    model_config = ConfigDict(frozen=True)

    shape: ModelShape
    model_type: str
    has_chat_template: bool
    files: tuple[str, ...]


def read_model_folder(folder: Path) -> FolderReport:
    """Check a local folder without loading it: config.json, safetensors headers, tokenizer.

    Raises NotABaseModel, naming the first thing that is wrong.
    """
    if not folder.is_dir():
        raise NotABaseModel(f"{folder} is not a folder this machine can read.")
    _check_files(folder)
    config = _read_config(folder / "config.json")
    model_type = str(config.get("model_type", "unknown"))
    family = FAMILY_OF_TYPE.get(model_type)
    if family is None:
        known = ", ".join(sorted(FAMILY_OF_TYPE))
        raise NotABaseModel(f"config.json says model_type “{model_type[:60]}”; this version can fine-tune: {known}.")
    if "quantization_config" in config:
        raise NotABaseModel("The weights are quantised (quantization_config). Use the model's plain safetensors.")
    weights = _weights(folder)
    if not (folder / "tokenizer.json").exists():
        raise NotABaseModel("tokenizer.json is missing. Save the model's fast tokenizer into the folder.")
    shape = shape_from_config(config, family)
    shape = shape.model_copy(update=_counts(weights, shape))
    if problem := _size_problem(folder, weights, shape):
        raise NotABaseModel(problem)
    return FolderReport(
        shape=shape,
        model_type=model_type,
        has_chat_template=_has_chat_template(folder),
        files=tuple(sorted(path.name for path in folder.iterdir() if path.is_file())),
    )


def shape_from_config(config: dict[str, Any], family: Family) -> ModelShape:
    """The shape from a transformers config.json, with no weights counted yet. Raises NotABaseModel where a number is
    missing, not a number, or larger than any model has."""
    if problem := size_problem("config.json", config):
        raise NotABaseModel(problem)
    try:
        return _SHAPES[family](config)
    except KeyError as error:
        raise NotABaseModel(f"config.json lacks a usable number: {error.args[0]} is missing.") from error
    except ValueError as error:
        raise NotABaseModel(f"config.json lacks a usable number: {error}.") from error


def _usual_shape(config: dict[str, Any], family: Family) -> ModelShape:
    heads = _whole(config, "num_attention_heads")
    return ModelShape(
        family=family,
        num_layers=_whole(config, "num_hidden_layers"),
        hidden_size=_whole(config, "hidden_size"),
        intermediate_size=_whole(config, "intermediate_size"),
        num_heads=heads,
        num_kv_heads=_whole(config, "num_key_value_heads") if config.get("num_key_value_heads") else heads,
        head_size=_whole(config, "head_dim") if config.get("head_dim") else 0,
        has_deep_head=config["model_type"] == "roberta",
        vocab_size=_whole(config, "vocab_size"),
        max_length=_whole(config, "max_position_embeddings") - _unused_positions(config),
        num_params=0,
        size_bytes=0,
    )


def _unused_positions(config: dict[str, Any]) -> int:
    """RoBERTa counts positions from behind its padding token, so the first ones are never used."""
    padding = config.get("pad_token_id")
    return padding + 1 if config["model_type"] == "roberta" and isinstance(padding, int) else 0


def _gpt2_shape(config: dict[str, Any]) -> ModelShape:
    hidden, heads = _whole(config, "n_embd"), _whole(config, "n_head")
    return ModelShape(
        family="gpt2",
        num_layers=_whole(config, "n_layer"),
        hidden_size=hidden,
        intermediate_size=_whole(config, "n_inner") if config.get("n_inner") else 4 * hidden,
        num_heads=heads,
        num_kv_heads=heads,
        vocab_size=_whole(config, "vocab_size"),
        max_length=_whole(config, "n_positions"),
        num_params=0,
        size_bytes=0,
    )


def _t5_shape(config: dict[str, Any]) -> ModelShape:
    heads = _whole(config, "num_heads")
    layers = _whole(config, "num_layers")
    return ModelShape(
        family="t5",
        num_layers=layers,
        num_decoder_layers=_whole(config, "num_decoder_layers") if config.get("num_decoder_layers") else layers,
        hidden_size=_whole(config, "d_model"),
        intermediate_size=_whole(config, "d_ff"),
        num_heads=heads,
        num_kv_heads=heads,
        head_size=_whole(config, "d_kv"),
        is_gated=str(config.get("feed_forward_proj", "relu")).startswith("gated"),
        vocab_size=_whole(config, "vocab_size"),
        max_length=_UNBOUNDED_LENGTH,
        num_params=0,
        size_bytes=0,
    )


_SHAPES: dict[Family, Callable[[dict[str, Any]], ModelShape]] = {
    "llama": partial(_usual_shape, family="llama"),
    "bert": partial(_usual_shape, family="bert"),
    "gpt2": _gpt2_shape,
    "t5": _t5_shape,
}


def _whole(config: dict[str, Any], name: str) -> int:
    """A count, so one or more. Raises KeyError, ValueError."""
    number = config[name]
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{name} is {str(number)[:60]}")
    return number


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise NotABaseModel("config.json is missing. Choose the folder that `save_pretrained` wrote.") from None


def _check_files(folder: Path) -> None:
    """Nothing in the folder may lead out of it, to code, or to more than can be read."""
    inside = [folder.resolve()]
    if folder.parent.name == "snapshots":  # of the Hub's cache, where each file is a link to its one copy
        inside.append(folder.parent.parent.resolve() / "blobs")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            continue
        if not any(root in path.resolve().parents for root in inside):
            raise NotABaseModel(f"{path.name} is a link out of the folder. Put the file itself there.")
        if not path.is_file():
            raise NotABaseModel(f"{path.name} is not a plain file. Take it out of the folder.")
        if path.name == "adapter_config.json":
            raise NotABaseModel("The folder holds an adapter (adapter_config.json). Choose that of a whole model.")
        if path.suffix in _READ and path.stat().st_size > SMALL_FILE_BYTES:
            most = SMALL_FILE_BYTES / 1e6
            raise NotABaseModel(f"{path.name} is larger than {most:.0f} MB. Such a file is not read.")
        if path.name in _CONFIGS:
            said = read_json(path, SMALL_FILE_BYTES)
            # A tokenizer without a longest text writes a number without end there.
            is_sized = path.name != "tokenizer_config.json"
            if problem := code_problem(path.name, said) or (size_problem(path.name, said) if is_sized else None):
                raise NotABaseModel(problem)


def _weights(folder: Path) -> list[Path]:
    """The files that transformers would take: one, or those that the index names."""
    if (folder / "model.safetensors").exists():
        return [folder / "model.safetensors"]
    if not (folder / _INDEX).exists():
        if any(folder.glob("*.safetensors")):
            raise NotABaseModel(f"The weights must be in model.safetensors, or {_INDEX} must name their files.")
        raise NotABaseModel("No *.safetensors file. Weights in .bin or .pt files can run code and are not read.")
    names = read_json(folder / _INDEX, SMALL_FILE_BYTES).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise NotABaseModel(f"{_INDEX} names no files (weight_map).")
    weights = sorted({str(name) for name in names.values()})
    for name in weights:
        if Path(name).name != name or not name.endswith(".safetensors") or not (folder / name).exists():
            raise NotABaseModel(f"{_INDEX} names {name[:80]}, which is no safetensors file of this folder.")
    return [folder / name for name in weights]


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    path = folder / "tokenizer_config.json"
    return path.exists() and "chat_template" in read_json(path, SMALL_FILE_BYTES)


def _counts(weights: list[Path], shape: ModelShape) -> dict[str, Any]:
    """The shape's counts: weights in all, and those of a block. The last one stands for all, since in a T5 the first
    has a table more."""
    num_params = head_for_others = 0
    has_pooler = False
    left_away = ("lm_head.", "cls.", "pooler.") if shape.has_deep_head else ("lm_head.", "cls.")
    stacks: dict[str, dict[int, Counter[str]]] = {"block": {}, "decoder_block": {}}
    for path in weights:
        for tensor in _tensors(path):
            name, params = tensor.name, tensor.num_numbers
            num_params += params
            has_pooler |= "pooler." in name
            head_for_others += params if name.removeprefix("roberta.").startswith(left_away) else 0
            if found := _BLOCK.search(name):
                blocks = stacks["decoder_block" if found[1] == "decoder" else "block"]
                counts = blocks.setdefault(int(found[2]), Counter())
                counts["params"] += params
                counts["norms"] += params if _NORM.search(name) else 0
                counts["biases"] += params if name.endswith(".bias") else 0
    last = {stack: BlockCounts(**blocks[max(blocks)]) for stack, blocks in stacks.items() if blocks}
    size_bytes = sum(path.stat().st_size for path in weights)
    return {
        "num_params": num_params,
        "size_bytes": size_bytes,
        "head_for_others": head_for_others,
        "has_deep_head": shape.has_deep_head or (shape.family == "bert" and not has_pooler),
        **last,
    }


def _size_problem(folder: Path, weights: list[Path], shape: ModelShape) -> str | None:
    """Why the numbers of config.json are not those of the weights, or the tokenizer is none for them."""
    if shape.linear_params > shape.num_params:
        return (
            f"config.json describes linear layers of {shape.linear_params:,} weights, and the files hold "
            f"{shape.num_params:,} weights in all. It is the config of another model."
        )
    tables = [tensor for path in weights for tensor in _tensors(path) if tensor.name.endswith(_EMBEDDINGS)]
    rows = min((tensor.shape[0] for tensor in tables if tensor.shape), default=shape.vocab_size)
    if rows != shape.vocab_size:
        return f"config.json says vocab_size {shape.vocab_size:,}, and the table of tokens has {rows:,} rows."
    if (num_tokens := tokenizer_size(folder)) > rows:
        return tokenizer_problem(num_tokens, rows)
    return None


def tokenizer_problem(num_tokens: int, rows: int) -> str:
    """Why a tokenizer is not for this model."""
    return (
        f"The tokenizer numbers its tokens up to {num_tokens:,}, and the model has rows for {rows:,}. Use the "
        "tokenizer that the model was trained with, or resize its table of tokens and save it again."
    )


def _tensors(path: Path) -> Iterator[Tensor]:
    """Each tensor of weights, from the header alone."""
    try:
        tensors = read_tensors(path)
    except ValueError as error:
        raise NotABaseModel(f"{path.name} is not a whole safetensors file: {error}.") from error
    return (tensor for tensor in tensors if tensor.dtype in FLOATS)
