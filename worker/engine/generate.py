"""Answers to prompts: greedy, in batches, the same as one by one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import StoppingCriteriaList

from worker.engine.batches import even_batches, micro_batches, token_budget
from worker.engine.encode import Tokenizer
from worker.engine.forward import Model, is_encoder_decoder, last_position, padded, read, unwrapped
from worker.engine.levers.side_by_side import side_by_side

BATCH_ROWS = 64
BATCH_TOKENS = 16384
"""Read and written ones together whose keys and values are kept at once: of a model with 8 billion weights 2 GB."""

Heed = Callable[[], None]
"""Raises Stop if one was asked for."""


def answers(
    model: Model,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    divisor: int = 1,
    heed: Heed = lambda: None,
    progress: Callable[[int], None],
) -> list[str]:
    """One answer a prompt, in order. Prompts of like length go together; `progress` is told how many are done."""
    room = writing_room(model, max_new_tokens)
    prompts, max_new_tokens = [prompt[-room.prompt :] for prompt in prompts], room.answer
    found: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    longest = max(map(len, prompts), default=0) + max_new_tokens
    for batch in even_batches(order, max(1, min(BATCH_ROWS, BATCH_TOKENS // longest) // divisor)):
        texts = _answer(model, tokenizer, [prompts[index] for index in batch], max_new_tokens, divisor, heed)
        found.update(zip(batch, texts, strict=True))
        progress(len(found))
    return [found[index] for index in range(len(prompts))]


class Room(NamedTuple):
    """Tokens that a prompt and its answer may have."""

    prompt: int
    answer: int


def writing_room(model: Model, max_new_tokens: int) -> Room:
    """A GPT-2 has a table of positions and no place behind its end, so that a long prompt loses its start there;
    other models go on behind their longest text."""
    positions = last_position(model)
    answer = min(max_new_tokens, positions - positions // 4)
    return Room(positions - answer, answer)


@torch.inference_mode()
def _answer(
    model: Model,
    tokenizer: Tokenizer,
    prompts: list[Sequence[int]],
    max_new_tokens: int,
    divisor: int,
    heed: Heed,
) -> list[str]:
    causal = unwrapped(model)
    if causal.generation_config.eos_token_id is None:
        causal.generation_config.eos_token_id = tokenizer.eos_token_id
    given = _given(model, prompts, max_new_tokens, divisor, heed)
    generating = model if is_encoder_decoder(model) else causal
    new = generating.generate(
        **given,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        pad_token_id=tokenizer.pad_token_id,
        stopping_criteria=StoppingCriteriaList([_at_every_token(heed)]),
    )
    # What a decoder was given comes back as well.
    begin = 0 if is_encoder_decoder(model) else given["input_ids"].shape[1]
    return [text.strip() for text in tokenizer.batch_decode(new[:, begin:], skip_special_tokens=True)]


def _given(model: Model, prompts: list[Sequence[int]], max_new_tokens: int, divisor: int, heed: Heed) -> dict[str, Any]:
    """What `generate` starts from; prompts come shortest first.

    An encoder reads with a mask, and peft itself puts virtual tokens before.
    For a decoder padding on the left keeps every row's last token at the end, and before the virtual tokens, so that
    position numbers, which transformers counts from the mask, are those of the row alone.
    """
    if is_encoder_decoder(model):
        ids, mask = padded(model, prompts, "right")
        return {"input_ids": ids, "attention_mask": mask}
    lengths = [len(prompt) for prompt in prompts]
    pieces = micro_batches(range(len(prompts)), lengths, token_budget(lengths, len(prompts), divisor=divisor))
    reads = []
    for piece in pieces:
        heed()
        reads.append(read(model, [prompts[index] for index in piece]))
    cache, before = side_by_side(reads, room=max_new_tokens, dtype=unwrapped(model).dtype)
    ids, mask = padded(model, prompts, "left")
    # Virtual tokens have no ids; `generate` counts them all the same.
    ids = pad(ids, (before.shape[1] + 1 - ids.shape[1], 0))
    return {
        "input_ids": ids,
        "attention_mask": torch.cat([before, mask[:, -1:]], dim=1),
        "past_key_values": cache,
    }


def _at_every_token(heed: Heed) -> Callable[..., Tensor]:
    """A batch of long answers takes minutes on a processor; a stop must not wait for its end."""

    def criterion(ids: Tensor, _scores: Any, **_rest: Any) -> Tensor:
        heed()
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    return criterion
