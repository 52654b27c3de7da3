"""Model folders as `save_pretrained` leaves them, with tiny weights."""

import json
import math
import struct
from collections.abc import Mapping
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
    (folder / "model.safetensors").write_bytes(safetensors(WEIGHTS))
    return folder


WEIGHTS = {
    "model.embed_tokens.weight": (32, 8),
    **{f"model.layers.{block}.self_attn.{name}.weight": (8, 8) for block in (0, 1) for name in ("q_proj", "o_proj")},
    **{f"model.layers.{block}.self_attn.{name}.weight": (4, 8) for block in (0, 1) for name in ("k_proj", "v_proj")},
    **{f"model.layers.{block}.mlp.{name}.weight": (16, 8) for block in (0, 1) for name in ("gate_proj", "up_proj")},
    **{f"model.layers.{block}.mlp.down_proj.weight": (8, 16) for block in (0, 1)},
}
"""Of a Llama with the numbers of CONFIG, without its norms."""
NUM_WEIGHTS = 32 * 8 + 2 * (2 * 8 * 8 + 2 * 4 * 8 + 3 * 16 * 8)


def safetensors(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """fp32 tensors, in the format's own words: length of the header, header, data."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)
