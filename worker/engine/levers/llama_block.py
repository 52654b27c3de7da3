"""Attention and feed-forward of Llama's kind: layers that read the same input go through one step, see `low_rank.py`,
and queries and keys are turned by their position as `rotary.py` does it. Measured on/off: see README, “Speed”.
"""

from types import MethodType
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP
from transformers.models.mistral.modeling_mistral import MistralAttention, MistralMLP
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2MLP

from worker.engine.levers.low_rank import together
from worker.engine.levers.rotary import rotated

_ATTENTIONS = (LlamaAttention, MistralAttention, Qwen2Attention)
_FEED_FORWARDS = (LlamaMLP, MistralMLP, Qwen2MLP)


def quicken_blocks(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _ATTENTIONS):
            module.forward = MethodType(_attend, module)
        elif isinstance(module, _FEED_FORWARDS):
            module.forward = MethodType(_feed_forward, module)


def _attend(
    attention: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **rest: Any,
) -> tuple[Tensor, Tensor | None]:
    """As transformers calls it: (1, T, H) -> (1, T, H)."""
    projected = together([attention.q_proj, attention.k_proj, attention.v_proj], hidden_states)
    query, key, value = (one.view(*one.shape[:-1], -1, attention.head_dim) for one in projected)  # (1, T, heads, d)
    cos, sin = (one.unsqueeze(-2) for one in position_embeddings)
    query, key = rotated(query, cos, sin).transpose(1, 2), rotated(key, cos, sin).transpose(1, 2)
    value = value.transpose(1, 2)
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, attention.layer_idx)
    attend = AttentionInterface().get_interface(attention.config._attn_implementation, None)
    output, weights = attend(
        attention,
        query,
        key,
        value,
        attention_mask,
        dropout=attention.attention_dropout if attention.training else 0.0,
        scaling=attention.scaling,
        sliding_window=_window(attention),
        **rest,
    )
    return attention.o_proj(output.flatten(2)), weights


def _window(attention: Any) -> int | None:
    """Tokens that a token sees. A Llama takes no notice of what its config says of that."""
    if isinstance(attention, LlamaAttention):
        return None
    if isinstance(attention, MistralAttention):
        return getattr(attention.config, "sliding_window", None)
    window: int | None = attention.sliding_window
    return window


def _feed_forward(module: Any, x: Tensor) -> Tensor:
    gate, up = together([module.gate_proj, module.up_proj], x)
    output: Tensor = module.down_proj(module.act_fn(gate) * up)
    return output
