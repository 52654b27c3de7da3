"""Blocks and their parts, as transformers computes them, but that layers which read the same input go through one step,
see `low_rank.py`, that queries and keys are turned by their position as `rotary.py` does it, and that sums, norms and
gates go through memory once, see `norm.py` and `gate.py`. Measured on/off: see README, “Speed”.
"""

import sys
from functools import partial
from types import MethodType
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.models.bert.modeling_bert import BertOutput, BertSelfAttention, BertSelfOutput
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer, LlamaMLP
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralDecoderLayer, MistralMLP
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2DecoderLayer, Qwen2MLP
from transformers.models.roberta.modeling_roberta import RobertaOutput, RobertaSelfAttention, RobertaSelfOutput

from worker.engine.levers.gate import gate
from worker.engine.levers.layer_norm import normed_after
from worker.engine.levers.low_rank import joined, together
from worker.engine.levers.norm import normed_sum
from worker.engine.levers.padded_attention import padded_attention, padded_takes
from worker.engine.levers.rotary import rotated

DECODERS_BLOCKS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer)
_DECODERS_ATTENTIONS = (LlamaAttention, MistralAttention, Qwen2Attention)
_ENCODERS_ATTENTIONS = (BertSelfAttention, RobertaSelfAttention)
_ENCODERS_OUTPUTS = (BertSelfOutput, BertOutput, RobertaSelfOutput, RobertaOutput)
_FEED_FORWARDS = (LlamaMLP, MistralMLP, Qwen2MLP)


def quicken_blocks(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, DECODERS_BLOCKS):
            module.forward = MethodType(_whole_block, module)
        elif isinstance(module, _DECODERS_ATTENTIONS):
            module.forward = MethodType(_decode, module)
        elif isinstance(module, _ENCODERS_ATTENTIONS):
            module.forward = MethodType(_encode, module)
        elif isinstance(module, _ENCODERS_OUTPUTS):
            module.forward = MethodType(_out_of_a_part, module)
        elif isinstance(module, _FEED_FORWARDS):
            module.forward = MethodType(_feed_forward, module)


def decoder_block(block: Any, hidden_states: Tensor, *, asked: Tensor | None = None, **rest: Any) -> Tensor:
    """As transformers calls it: (B, T, H) -> the same, or (B, N, H) of the places (N,) that are `asked` for. Where
    memory is saved it is computed again in the backward pass; transformers would see to that for its own forward."""
    if not (block.training and block.gradient_checkpointing):
        return _decoder_block(block, hidden_states, asked=asked, **rest)
    return block._gradient_checkpointing_func(partial(_decoder_block, block, asked=asked, **rest), hidden_states)  # type: ignore[no-any-return]


def _whole_block(block: Any, hidden_states: Tensor, *, asked: Tensor | None = None, **rest: Any) -> Tensor:
    """Whatever is asked for: that is for the last block to know, see last_block.py."""
    return decoder_block(block, hidden_states, **rest)


def _decoder_block(block: Any, hidden_states: Tensor, *, asked: Tensor | None, **rest: Any) -> Tensor:
    read, states = normed_sum(block.input_layernorm, hidden_states)
    attended, _weights = block.self_attn(hidden_states=read, **rest)
    if asked is not None:
        attended, states = attended[:, asked], states[:, asked]
    read, states = normed_sum(block.post_attention_layernorm, attended, states)
    return states + block.mlp(read)  # type: ignore[no-any-return]


def _decode(
    attention: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **rest: Any,
) -> tuple[Tensor, Tensor | None]:
    """As transformers calls it: (B, T, H) -> (B, T, H)."""
    projected = together([attention.q_proj, attention.k_proj, attention.v_proj], hidden_states)
    query, key, value = (_heads(one, attention.head_dim) for one in projected)
    cos, sin = (one.unsqueeze(-2) for one in position_embeddings)
    query, key, value = (
        rotated(query, cos, sin).transpose(1, 2),
        rotated(key, cos, sin).transpose(1, 2),
        value.transpose(1, 2),
    )
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, attention.layer_idx)
    dropout, window = attention.attention_dropout, _window(attention)
    output, weights = _attended(attention, query, key, value, attention_mask, dropout, sliding_window=window, **rest)
    return attention.o_proj(output), weights


def _window(attention: Any) -> int | None:
    """Tokens that a token sees. A Llama takes no notice of what its config says of that."""
    if isinstance(attention, LlamaAttention):
        return None
    if isinstance(attention, MistralAttention):
        return getattr(attention.config, "sliding_window", None)
    window: int | None = attention.sliding_window
    return window


def _encode(
    attention: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **rest: Any,
) -> tuple[Tensor, Tensor | None]:
    """As transformers calls it: (B, T, H) -> (B, T, H). A trained prefix goes its own way."""
    if past_key_values is not None:
        known = type(attention).forward
        return known(attention, hidden_states, attention_mask, past_key_values, **rest)  # type: ignore[no-any-return]
    projected = joined([attention.query, attention.key, attention.value], hidden_states)
    if padded_takes(projected, attention_mask):
        dropout = attention.dropout.p if attention.training else 0.0
        heads, scale = attention.num_attention_heads, attention.scaling
        return padded_attention(projected, attention_mask, heads=heads, scale=scale, dropout=dropout), None
    query, key, value = (
        _heads(one, attention.attention_head_size).transpose(1, 2) for one in projected.chunk(3, dim=-1)
    )
    return _attended(attention, query, key, value, attention_mask, attention.dropout.p, **rest)


def _out_of_a_part(module: Any, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
    """As transformers calls it: what an encoder's attention or feed-forward gives back, normed with what went in."""
    return normed_after(module.LayerNorm, module.dropout, module.dense(hidden_states), input_tensor)


def _heads(x: Tensor, size: int) -> Tensor:
    """(B, T, heads * size) -> (B, T, heads, size)"""
    return x.view(*x.shape[:-1], -1, size)


def _attended(
    attention: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, **rest: Any
) -> tuple[Tensor, Tensor | None]:
    """(B, heads, T, d) each -> (B, T, heads * d), by the attention that the model is set to."""
    written_out = sys.modules[type(attention).__module__].eager_attention_forward  # each family has its own
    attend = AttentionInterface().get_interface(attention.config._attn_implementation, written_out)
    dropout = dropout if attention.training else 0.0
    output, weights = attend(attention, query, key, value, mask, dropout=dropout, scaling=attention.scaling, **rest)
    return output.flatten(2), weights


def _feed_forward(module: Any, x: Tensor) -> Tensor:
    read, up = together([module.gate_proj, module.up_proj], x)
    output: Tensor = module.down_proj(gate(module.act_fn, read, up))
    return output
