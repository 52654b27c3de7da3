"""Model folders as `save_pretrained` leaves them, with tiny weights."""

import json
import struct
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 32,
    "max_position_embeddings": 64,
}


def make_folder(folder: Path, **changes: Any) -> Path:
    """A good one; changes go into config.json, and None takes a name out of it."""
    folder.mkdir(parents=True)
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(safetensors(num_weights=10))
    return folder


def safetensors(*, num_weights: int) -> bytes:
    """One fp32 tensor, in the format's own words: length of the header, header, data."""
    size = 4 * num_weights
    header = json.dumps({"w": {"dtype": "F32", "shape": [num_weights], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)
