"""An encoder with either adapter: rows do not disturb each other, and a merged LoRA says the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.tiny import make_bert, make_roberta, tiny_recipe
from webapp.contract.model_folder import read_model_folder
from worker.engine import forward
from worker.engine.encode import Encoded, encode_text
from worker.engine.forward import Model, class_logits
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base
from worker.engine.tokenizer import load_tokenizer

FP32 = Place(torch.device("cpu"), torch.float32, torch.float32)


def disturbed(method: str, base: Path) -> Model:
    """The adapter's weights at random, so that it does something."""
    torch.manual_seed(3)
    recipe = tiny_recipe(base, task="classify", method=method)
    model = ENGINE_METHODS[method].build(load_base(base, "classify", FP32, ["a", "b", "c"]), recipe, base)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    return model.eval()


def rows_of(base: Path) -> list[Encoded]:
    tokenizer = load_tokenizer(base, "classify")
    texts = ["a", "some words", "a longer line of words, to be padded against"]
    return [encode_text(tokenizer, text, 0, 64) for text in texts]


@torch.no_grad()
@pytest.mark.parametrize("method", ["lora", "prompt_tuning"])
def test_a_row_s_scores_do_not_depend_on_its_neighbours(method: str, tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    model, rows = disturbed(method, base), rows_of(base)
    together = class_logits(model, rows)
    assert together.shape == (3, 3)
    torch.testing.assert_close(together, torch.cat([class_logits(model, [row]) for row in rows]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("method", ["lora", "prompt_tuning", "prefix_tuning"])
@pytest.mark.parametrize("make", [make_bert, make_roberta])
def test_padding_to_few_sizes_changes_nothing_up_to_the_longest_row(
    make: Callable[[Path], Path], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make(tmp_path / "base")
    model = disturbed(method, base)
    virtual = getattr(model.peft_config["default"], "num_virtual_tokens", None) or 0
    longest = read_model_folder(base).shape.max_length - virtual
    for length in (3, 5, *range(longest - 6, longest + 1)):
        row = encode_text(load_tokenizer(base, "classify"), "a" * length, 0, length)
        assert row.length == length
        scores = class_logits(model, [row])
        with monkeypatch.context() as patch:
            patch.setattr(forward, "PADDED_TO", 1)
            torch.testing.assert_close(scores, class_logits(model, [row]), rtol=1e-5, atol=1e-5)


def test_rows_of_like_length_are_of_one_size(tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    model = load_base(base, "classify", FP32, ["a", "b"])
    for longest, size in ((1, 4), (4, 4), (5, 8), (123, 124), (125, 125), (128, 128)):
        ids, mask = forward.padded(model, [[1], [1] * longest], "right")
        assert ids.shape == mask.shape == (2, size)
        assert mask.sum(dim=1).tolist() == [1, longest]


@torch.no_grad()
def test_merged_lora_computes_the_same(tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    model, rows = disturbed("lora", base), rows_of(base)
    before = class_logits(model, rows)
    torch.testing.assert_close(class_logits(model.merge_and_unload(), rows), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("init", ["text", "vocabulary", "random"])
def test_virtual_tokens_start_where_the_recipe_says(init: str, tmp_path: Path) -> None:
    base = make_bert(tmp_path / "base")
    recipe = tiny_recipe(base, task="classify", method="prompt_tuning", num_virtual_tokens=8, init=init)
    model = ENGINE_METHODS["prompt_tuning"].build(load_base(base, "classify", FP32, ["a", "b"]), recipe, base)
    words = model.get_base_model().get_input_embeddings().weight
    prompt = model.get_prompt(batch_size=1)[0]
    are_words = [(words == token).all(dim=1).any().item() for token in prompt]
    assert len(prompt) == 8
    assert all(are_words) == (init != "random")
