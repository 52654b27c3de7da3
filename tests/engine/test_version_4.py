"""What leaves us is read by libraries that stand on transformers 4 too. tests/interop lets one read it; here are the
words that it needs, and that version 5 understands them."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, T5ForConditionalGeneration

from tests.engine.bottlenecks import BottleneckCell, base_of, logits_of
from tests.tiny import make_tokenizer
from worker.engine.methods.full import save_full
from worker.engine.save import save_tokenizer

TEXT = "a<u>b"


def kept(folder: Path, name: str = "config.json") -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / name).read_text())
    return read


def saved(kind: str, folder: Path) -> Path:
    (folder / "full").mkdir()
    task = "transform" if kind == "t5" else "generate"
    save_full(base_of(BottleneckCell(kind, task, ""), folder / "base"), folder / "full", "some/base")
    return folder / "full"


def test_a_tokenizer_has_the_class_and_the_tokens_under_their_old_names(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"extra_special_tokens": ["<u>", "<a>"]})
    save_tokenizer(tokenizer, tmp_path)
    config = kept(tmp_path, "tokenizer_config.json")
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    assert config["additional_special_tokens"] == ["<u>", "<a>"] and "extra_special_tokens" not in config
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]
    assert again.all_special_tokens == tokenizer.all_special_tokens
    assert again.chat_template == tokenizer.chat_template


def test_a_llama_has_its_rotations_under_the_old_name(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path)
    assert kept(folder)["rope_theta"] == 100_000.0
    assert AutoConfig.from_pretrained(folder).rope_parameters["rope_theta"] == 100_000.0


def test_a_t5_of_version_1_1_is_told_by_its_head_of_its_own(tmp_path: Path) -> None:
    folder = saved("t5", tmp_path)
    assert kept(folder)["tie_word_embeddings"] is False
    again = T5ForConditionalGeneration.from_pretrained(folder).eval()
    assert torch.equal(logits_of(again), logits_of(base_of(BottleneckCell("t5", "transform", ""), tmp_path / "base")))


def test_a_t5_of_version_1_0_is_left_as_it_is(tmp_path: Path) -> None:
    folder = saved("t5", tmp_path)
    config = AutoConfig.from_pretrained(folder)
    config.scale_decoder_outputs = True
    model = T5ForConditionalGeneration(config)
    save_full(model, folder, "some/base")
    assert kept(folder)["tie_word_embeddings"] is True
