"""Tiny packages in the layout of those our starters ship in: a GGUF file inside, or a transformers folder."""

import base64
import hashlib
import random
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import LlamaForCausalLM

from webapp.contract.base_models import StarterModel
from webapp.contract.model_folder import read_model_folder

NAME, VERSION = "tiny-model", "1.0"
ROPE_THETA = 100_000.0
_LAYER = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip


def make_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """A wheel of `files`, and some noise, so that it is large enough for pip to tell its progress."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tiny_model-{VERSION}.dist-info"
    files = {
        **files,
        "tiny_model/noise.bin": random.Random(1).randbytes(1_500_000),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}"
        for name, content in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,\n"]).encode()
    path = folder / f"tiny_model-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def starter_of(wheel: Path, inside: str, shape_of: Path, **changes: Any) -> StarterModel:
    """What our catalogue would say of this wheel."""
    fields = {
        "id": "tiny", "title": "Tiny", "sentence": "A tiny model.", "licence": "MIT", "hub_id": "nobody/tiny",
        "package": NAME, "version": VERSION, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "download_bytes": wheel.stat().st_size, "inside": inside, "precision": "fp32",
        "shape": read_model_folder(shape_of).shape,
    }  # fmt: skip
    return StarterModel(**{**fields, **changes})


def write_gguf(model: LlamaForCausalLM, path: Path, *, chat_template: str) -> None:
    """A Llama as llama.cpp keeps it, quantised to 8 bits, with a byte-level tokenizer of single characters."""
    config = model.config
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    words = ["<pad>", "</s>", "<unk>"]
    # One fewer than the model has rows for: transformers adds a token of its own to such a tokenizer.
    tokens = [*words, *map(chr, range(33, 31 + config.vocab_size - len(words))), "ab"]
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * len(words) + [gguf.TokenType.NORMAL] * (len(tokens) - len(words)))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_chat_template(chat_template)
    for name, weight in _tensors(model).items():
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            eight_bits = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(weight, eight_bits), raw_dtype=eight_bits)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: LlamaForCausalLM) -> dict[str, np.ndarray[Any, Any]]:
    """By llama.cpp's names; queries and keys in the order its rotary embedding wants."""
    state = {name: weight.detach().float() for name, weight in model.state_dict().items()}
    found = {"token_embd.weight": state["model.embed_tokens.weight"], "output_norm.weight": state["model.norm.weight"]}
    for layer in range(model.config.num_hidden_layers):
        for theirs, ours in _LAYER.items():
            weight = state[f"model.layers.{layer}.{ours}.weight"]
            heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
            if theirs in heads:
                weight = _permuted(weight, heads[theirs])
            found[f"blk.{layer}.{theirs}.weight"] = weight
    return {name: np.ascontiguousarray(weight.numpy()) for name, weight in found.items()}


def _permuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
