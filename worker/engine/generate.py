"""Answers to prompts: greedy, in batches, the same as one by one."""

from collections.abc import Callable, Sequence

import torch

from worker.engine.encode import Tokenizer
from worker.engine.forward import Model, embedded, unwrapped

BATCH_ROWS = 32


def answers(
    model: Model,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    progress: Callable[[int], None],
) -> list[str]:
    """One answer a prompt, in order. Prompts of like length go together; `progress` is told how many are done."""
    found: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for at in range(0, len(order), BATCH_ROWS):
        batch = order[at : at + BATCH_ROWS]
        texts = _answer(model, tokenizer, [prompts[index] for index in batch], max_new_tokens)
        found.update(zip(batch, texts, strict=True))
        progress(len(found))
    return [found[index] for index in range(len(prompts))]


@torch.inference_mode()
def _answer(model: Model, tokenizer: Tokenizer, prompts: list[Sequence[int]], max_new_tokens: int) -> list[str]:
    # Padding on the left keeps every row's last token at the end, and before the virtual tokens, so that position
    # numbers, which transformers counts from the mask, are those of the row alone.
    inputs, mask = embedded(model, prompts, "left")
    causal = unwrapped(model)
    if causal.generation_config.eos_token_id is None:
        causal.generation_config.eos_token_id = tokenizer.eos_token_id
    new = causal.generate(
        inputs_embeds=inputs,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
