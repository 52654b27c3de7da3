"""The same answer whatever way it is computed: merged or not, in a batch or alone, padded or not."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny import make_gpt2, make_llama, make_windowed, tiny_recipe
from webapp.contract.methods import METHODS
from webapp.contract.rows import Message
from worker.engine.encode import Encoded, encode_chat
from worker.engine.forward import Model, row_losses, unwrapped
from worker.engine.generate import answers
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import choose_place, load_base
from worker.engine.tokenizer import load_tokenizer

TEXTS = ["a", "some words", "a longer line of words, to be padded against"]


@pytest.fixture(params=["lora", "prompt_tuning", "p_tuning", "prefix_tuning", "bottleneck", "ia3", "freezing"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Model:
    """Adapter weights at random, so that the adapter does something."""
    base = make_llama(tmp_path / "base")
    recipe = tiny_recipe(base, method=request.param)
    model = ENGINE_METHODS[request.param].build(AutoModelForCausalLM.from_pretrained(base), recipe, base)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    return model.eval()


def encoded(model: Model) -> list[Encoded]:
    tokenizer = load_tokenizer(Path(unwrapped(model).name_or_path), "generate")
    return [
        encode_chat(tokenizer, [Message(role="user", content=text), Message(role="assistant", content="yes")], 200)
        for text in TEXTS
    ]


def test_the_engine_has_a_builder_for_every_method() -> None:
    assert set(ENGINE_METHODS) == set(METHODS)


@torch.no_grad()
def test_a_row_s_loss_does_not_depend_on_its_neighbours(model: Model) -> None:
    rows = encoded(model)
    together = row_losses(model, rows)[0]
    alone = torch.cat([row_losses(model, [row])[0] for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_loss_is_the_one_peft_computes(model: Model) -> None:
    for row in encoded(model):
        labels = [token if is_trained else -100 for token, is_trained in zip(row.ids, row.trained, strict=True)]
        theirs = model(
            input_ids=torch.tensor([row.ids]), attention_mask=torch.ones(1, len(row.ids)), labels=torch.tensor([labels])
        ).loss
        sums, counts = row_losses(model, [row])
        torch.testing.assert_close(sums[0] / counts[0], theirs, rtol=1e-5, atol=1e-5)


def said_by_generate(model: Model, prompts: list[list[int]]) -> list[str]:
    """By transformers' and peft's own, row by row."""
    tokenizer = load_tokenizer(Path(unwrapped(model).name_or_path), "generate")
    said = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        all_ids = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        said.append(tokenizer.decode(all_ids[0, len(prompt) :], skip_special_tokens=True).strip())
    return said


def said(model: Model, prompts: list[list[int]], **options: Any) -> list[str]:
    tokenizer = load_tokenizer(Path(unwrapped(model).name_or_path), "generate")
    return answers(model, tokenizer, prompts, max_new_tokens=12, progress=lambda _done: None, **options)


def test_answers_in_a_batch_are_those_of_generate(model: Model) -> None:
    prompts = [row.prompt for row in encoded(model)]
    theirs = said_by_generate(model, prompts)
    assert said(model, prompts) == theirs
    assert said(model, prompts[::-1]) == theirs[::-1]


@pytest.mark.parametrize("family", ["llama", "gpt2", "windowed"])
def test_answers_of_a_base_model_are_those_of_generate(tmp_path: Path, family: str) -> None:
    """Also where prompts are read in several packs, with nothing in common, of one token, and more than a batch."""
    base = {"llama": make_llama, "gpt2": make_gpt2, "windowed": make_windowed}[family](tmp_path / "base")
    model = load_base(base, "generate", choose_place(base, "generate"), [])
    draw = random.Random(3)
    prompts = [[draw.randrange(7, 40) for _ in range(draw.randrange(1, 30))] for _ in range(20)]
    theirs = said_by_generate(AutoModelForCausalLM.from_pretrained(base), prompts)
    assert len(set(theirs)) > 3
    for divisor in (1, 4, 16):
        assert said(model, prompts, divisor=divisor) == theirs


def test_one_answer_of_nothing_but_a_token(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    model = load_base(base, "generate", choose_place(base, "generate"), [])
    assert said(model, [[7]]) == said_by_generate(AutoModelForCausalLM.from_pretrained(base), [[7]])
    assert said(model, []) == []


@torch.no_grad()
def test_merged_lora_computes_the_same(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    model = ENGINE_METHODS["lora"].build(AutoModelForCausalLM.from_pretrained(base), tiny_recipe(base), base)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.normal_(std=0.1)
    ids = torch.arange(10, 40)[None]
    before = model.eval()(input_ids=ids).logits
    torch.testing.assert_close(model.merge_and_unload()(input_ids=ids).logits, before, rtol=1e-4, atol=1e-4)
