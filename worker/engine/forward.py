"""From token ids to losses and logits, the same for a bare base model and for one with any method's additions."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from peft import PeftType
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache

from webapp.contract.model_shape import FAMILY_OF_TYPE
from worker.engine.encode import Encoded
from worker.engine.levers import packed_attention
from worker.engine.levers.copies import moved
from worker.engine.levers.packed_rows import MULTIPLE, Layout, pack
from worker.engine.levers.side_by_side import Read
from worker.engine.levers.token_loss import token_loss

Model = Any


PADDED_TO = 4
"""Rows are padded on the right to a multiple of so many tokens: of fewer sizes a MiniLM job takes a fifth less memory
(see `packed_rows.MULTIPLE`)."""


def padded(model: Model, rows: Sequence[Sequence[int]], side: Literal["left", "right"]) -> tuple[Tensor, Tensor]:
    """Ids and mask (B, T) on the model's device."""
    longest = max(len(row) for row in rows)
    filled = longest + -longest % PADDED_TO
    if side == "right" and filled <= _most_positions(model):
        longest = filled
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for index, row in enumerate(rows):
        at = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[index, at] = torch.tensor(row)
        mask[index, at] = 1
    device = unwrapped(model).get_input_embeddings().weight.device
    return moved(ids, device), moved(mask, device)


def hidden_states(model: Model, rows: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> Tensor:
    """A decoder's last hidden states (N, H) after reading the token at `position` of `row`, for pairs (row, position).

    Rows are laid end to end; virtual tokens and what all rows begin with go through the model once."""
    causal = unwrapped(model)
    laid = _laid(model, rows)
    asked = torch.tensor([laid.layout.place(row, laid.num_virtual + position) for row, position in places])
    run = partial(_run, causal, laid, moved(asked, laid.inputs.device))
    trunk = getattr(causal, "frozen_trunk", None)
    return run() if trunk is None else trunk.states(rows, laid.layout, run)


def read(model: Model, rows: Sequence[Sequence[int]]) -> Read:
    """What a decoder keeps of rows, all but the last token of each: to write on, it is that one's turn."""
    causal = unwrapped(model)
    laid = _laid(model, rows)
    cache = DynamicCache() if laid.cache is None else laid.cache
    before = cache.get_seq_length()
    # One place is asked for, which nobody looks at: not every layer can do with none.
    _run(causal, laid._replace(cache=cache), torch.zeros(1, dtype=torch.long, device=laid.inputs.device), keeps=True)
    places = [
        torch.cat([torch.arange(before), before + laid.layout.places(index, laid.num_virtual + len(row) - 1)])
        for index, row in enumerate(rows)
    ]
    return Read(cache, places)


class _Laid(NamedTuple):
    """Rows as a decoder is given them: packed, virtual tokens first, a trained prefix in the cache."""

    inputs: Tensor
    """(T, H)"""
    layout: Layout
    num_virtual: int
    cache: Any


def _laid(model: Model, rows: Sequence[Sequence[int]]) -> _Laid:
    causal = unwrapped(model)
    if causal.config._attn_implementation != packed_attention.NAME:
        causal.set_attn_implementation(packed_attention.NAME)
    embed = causal.get_input_embeddings()
    prompt = _prompt(model, 1)
    virtual = prompt[0] if isinstance(prompt, Tensor) else None  # (V, H)
    num_virtual = 0 if virtual is None else len(virtual)
    device = embed.weight.device
    ids, layout = pack(rows, num_virtual=num_virtual, device=device, multiple=MULTIPLE.get(device.type, 1))
    text = embed(ids)
    inputs = text if virtual is None else torch.cat([virtual.to(text.dtype), text])
    return _Laid(inputs, layout, num_virtual, None if virtual is not None else prompt)


def _run(
    causal: Model, laid: _Laid, asked: Tensor, into_blocks: Tensor | None = None, *, keeps: bool = False
) -> Tensor:
    """Last hidden states (N, H) at the places asked of. `into_blocks`: instead of the inputs."""
    before = 0 if laid.cache is None else laid.cache.get_seq_length()
    output: Tensor = causal.base_model(
        inputs_embeds=laid.inputs[None] if into_blocks is None else into_blocks,
        position_ids=laid.layout.positions[None] + before,
        # Four dimensions are passed on as they are: a mask over all pairs of tokens is neither built nor looked at.
        attention_mask=laid.inputs.new_zeros(1, 1, 1, 1),
        past_key_values=laid.cache,
        use_cache=keeps,
        layout=laid.layout,
        asked=asked,
    ).last_hidden_state[0]
    return output if getattr(causal, "narrows", False) else output[asked]


def token_losses(model: Model, rows: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Cross entropy (N,) of each trained token in fp32, and the row (N,) each belongs to."""
    if is_encoder_decoder(model):
        return _target_losses(model, rows)
    first = 0 if _stands_before(model) else 1
    places = [
        (index, position)
        for index, row in enumerate(rows)
        for position in range(first, len(row.ids))
        if row.trained[position]
    ]
    # Only positions with a label go through the head: full logits of a 49k vocabulary would be most of the memory.
    before = hidden_states(model, [row.ids for row in rows], [(index, position - 1) for index, position in places])
    logits = unwrapped(model).get_output_embeddings()(before)  # (N, vocabulary)
    targets = torch.tensor([rows[index].ids[position] for index, position in places])
    index = torch.tensor([index for index, _position in places])
    return token_loss(logits, moved(targets, logits.device)), moved(index, logits.device)


def class_logits(model: Model, rows: Sequence[Encoded]) -> Tensor:
    """Scores (B, labels) in fp32. An encoder looks both ways, so padding is masked; a decoder has read a text when it
    has read its last token."""
    causal = unwrapped(model)
    if not hasattr(causal, "score"):
        ids, mask = padded(model, [row.ids for row in rows], "right")
        logits: Tensor = model(input_ids=ids, attention_mask=mask).logits
        return logits.float()
    last = [(index, len(row.ids) - 1) for index, row in enumerate(rows)]
    scores: Tensor = causal.score(hidden_states(model, [row.ids for row in rows], last))
    return scores.float()


def row_losses(model: Model, rows: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Summed loss (B,) and number of labels (B,) of each row, for any task."""
    if rows[0].label >= 0:
        labels = torch.tensor([row.label for row in rows])
        logits = class_logits(model, rows)
        return cross_entropy(logits, moved(labels, logits.device), reduction="none"), torch.ones(len(rows))
    losses, index = token_losses(model, rows)
    sums = losses.new_zeros(len(rows)).index_add(0, index, losses)
    # As bincount does, which would make the processor wait for its largest number.
    return sums, index.new_zeros(len(rows)).index_add(0, index, torch.ones_like(index))


def mixed_precision(model: Model) -> torch.autocast:
    """For training: where the base is bf16 or `Place` says so, multiply in bf16 throughout (Micikevicius et al. 2018,
    arXiv 1710.03740). A LoRA step on 8x54 tokens takes 14 % less processor time by it, on 8x186 tokens 25 %.
    """
    causal = unwrapped(model)
    weight = causal.get_input_embeddings().weight
    # Where all of the base is trained, its embeddings are fp32 too; how it is kept then tells.
    is_half = weight.dtype == torch.bfloat16 or (weight.requires_grad and causal.config.dtype == torch.bfloat16)
    return torch.autocast(weight.device.type, torch.bfloat16, enabled=is_half or getattr(causal, "is_mixed", False))


def is_padded(model: Model) -> bool:
    """Whether rows stand side by side, each filled up to the longest; a decoder's are laid end to end."""
    return FAMILY_OF_TYPE[unwrapped(model).config.model_type] in ("bert", "t5")


def is_encoder_decoder(model: Model) -> bool:
    return bool(unwrapped(model).config.is_encoder_decoder)


def unwrapped(model: Model) -> Model:
    """The transformers model inside; LoRA has changed its layers in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _target_losses(model: Model, rows: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """The decoder's: each token of the target, foretold from those before it and from the whole input."""
    ids, mask = padded(model, [row.ids for row in rows], "right")
    targets, there = padded(model, [row.target for row in rows], "right")
    start = unwrapped(model).config.decoder_start_token_id
    before = torch.cat([targets.new_full((len(rows), 1), start), targets[:, :-1]], dim=1)
    logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=before).logits  # (B, T, vocabulary)
    index, position = there.nonzero(as_tuple=True)
    return token_loss(logits[index, position], targets[index, position]), index


def _prompt(model: Model, num_rows: int) -> Any:
    """Virtual tokens (B, V, H), or a cache with a prefix, of a model that has one; else None."""
    if _prompt_config(model) is None:
        return None
    tokens, name = model.prompt_tokens, model.active_adapter
    # peft leaves their numbers in main memory and would copy them in each step, waiting for it.
    tokens[name] = moved(tokens[name], unwrapped(model).get_input_embeddings().weight.device)
    return model.get_prompt(batch_size=num_rows)


def _stands_before(model: Model) -> int:
    """Virtual tokens that a row's first token can be foretold from; a prefix in the cache is not read for itself."""
    config = _prompt_config(model)
    return 0 if config is None or config.peft_type == PeftType.PREFIX_TUNING else config.num_virtual_tokens


def _most_positions(model: Model) -> int:
    """Tokens that a row has places for beside virtual ones; RoBERTa counts from behind its padding token."""
    config, prompt = unwrapped(model).config, _prompt_config(model)
    unused = (config.pad_token_id or 0) + 1
    positions: int = getattr(config, "max_position_embeddings", sys.maxsize)
    return positions - unused - (0 if prompt is None else prompt.num_virtual_tokens)


def last_position(model: Model) -> int:
    """Tokens of prompt and answer together that a model with a table of positions can place; no limit for others."""
    config, prompt = unwrapped(model).config, _prompt_config(model)
    if FAMILY_OF_TYPE[config.model_type] != "gpt2":
        return sys.maxsize
    return int(config.n_positions) - (0 if prompt is None else prompt.num_virtual_tokens)


def _prompt_config(model: Model) -> Any:
    """Of a model with virtual tokens or a prefix; else None."""
    config = next(iter(getattr(model, "peft_config", {}).values()), None)
    return config if config is not None and config.is_prompt_learning else None
