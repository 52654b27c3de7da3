"""Answers to prompts: greedy, in batches, the same as one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteriaList

from worker.engine.encode import Tokenizer
from worker.engine.forward import Model, embedded, is_encoder_decoder, padded, unwrapped

BATCH_ROWS = 32

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
    found: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    num_rows = max(1, BATCH_ROWS // divisor)
    for at in range(0, len(order), num_rows):
        batch = order[at : at + num_rows]
        texts = _answer(model, tokenizer, [prompts[index] for index in batch], max_new_tokens, heed)
        found.update(zip(batch, texts, strict=True))
        progress(len(found))
    return [found[index] for index in range(len(prompts))]


@torch.inference_mode()
def _answer(
    model: Model, tokenizer: Tokenizer, prompts: list[Sequence[int]], max_new_tokens: int, heed: Heed
) -> list[str]:
    causal = unwrapped(model)
    if causal.generation_config.eos_token_id is None:
        causal.generation_config.eos_token_id = tokenizer.eos_token_id
    generating, given = _given(model, prompts)
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
    # What was given as ids comes back as well; what was given as embeddings, or to an encoder, does not.
    begin = given["input_ids"].shape[1] if "input_ids" in given and not is_encoder_decoder(model) else 0
    return [text.strip() for text in tokenizer.batch_decode(new[:, begin:], skip_special_tokens=True)]


def _given(model: Model, prompts: list[Sequence[int]]) -> tuple[Model, dict[str, Any]]:
    """Who generates, and from what.

    For a decoder padding on the left keeps every row's last token at the end, and before the virtual tokens, so that
    position numbers, which transformers counts from the mask, are those of the row alone. An encoder reads with a
    mask, and peft itself puts virtual tokens before.
    """
    if is_encoder_decoder(model):
        ids, mask = padded(model, prompts, "right")
        return model, {"input_ids": ids, "attention_mask": mask}
    given = embedded(model, prompts)
    if given.cache is not None:
        ids, mask = padded(model, prompts, "left")
        return model, {"input_ids": ids, "attention_mask": mask}
    return unwrapped(model), {"inputs_embeds": given.inputs, "attention_mask": given.mask}


def _at_every_token(heed: Heed) -> Callable[..., Tensor]:
    """A batch of long answers takes minutes on a processor; a stop must not wait for its end."""

    def criterion(ids: Tensor, _scores: Any, **_rest: Any) -> Tensor:
        heed()
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    return criterion
