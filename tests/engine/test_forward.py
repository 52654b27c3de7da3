"""The same answer whatever way it is computed: merged or not, in a batch or alone, padded or not."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny import make_llama, tiny_recipe
from webapp.contract.methods import METHODS
from webapp.contract.rows import Message
from worker.engine.encode import Encoded, encode_chat
from worker.engine.forward import Model, row_losses, unwrapped
from worker.engine.generate import answers
from worker.engine.methods import ENGINE_METHODS
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


def test_answers_in_a_batch_are_those_given_alone(model: Model) -> None:
    rows = encoded(model)
    tokenizer = load_tokenizer(Path(unwrapped(model).name_or_path), "generate")

    def said(prompts: list[list[int]]) -> list[str]:
        return answers(model, tokenizer, prompts, max_new_tokens=12, progress=lambda _done: None)

    prompts = [row.prompt for row in rows]
    assert said(prompts) == [said([prompt])[0] for prompt in prompts]


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
