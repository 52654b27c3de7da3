"""Model folders that were made to do harm are refused, both when registered and when fetched; nothing in them runs."""

import importlib.util
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch_file

from tests.tiny import make_bert, make_gpt2, make_llama, make_roberta, make_t5
from webapp.contract.model_config import NotABaseModel
from webapp.contract.model_folder import read_model_folder
from worker.base_models.check import check
from worker.base_models.finite import not_finite_tensor

EVIL = "evil/attention"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("good") / "llama")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "llama"
    folder.mkdir(parents=True)
    for path in good.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def canary(tmp_path: Path, folder: Path) -> Path:
    """A file that appears if any of the folder's code is run."""
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w')\n"
    for name in ("modeling_evil.py", "__init__.py", "configuration_evil.py", "attention.py", "conftest.py"):
        (folder / name).write_text(code)
    return canary


def say(folder: Path, name: str = "config.json", **words: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


def refused(folder: Path) -> str:
    """What registering and fetching say, which must be the same."""
    with pytest.raises(NotABaseModel) as registered:
        read_model_folder(folder)
    with pytest.raises(NotABaseModel) as fetched:
        check(folder)
    assert str(fetched.value) == str(registered.value)
    return str(fetched.value)


def test_the_package_that_brings_code_from_the_hub_is_not_installed() -> None:
    assert importlib.util.find_spec("kernels") is None


@pytest.mark.parametrize("make", [make_llama, make_gpt2, make_bert, make_roberta, make_t5])
def test_a_good_folder_of_every_family_passes(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder = make(tmp_path / "good")
    assert check(folder).shape == read_model_folder(folder).shape


def test_an_encoder_as_they_were_written_years_ago_passes(tmp_path: Path) -> None:
    """With a head of its own training, counters that are no weights, and norms by their old names."""
    folder = make_bert(tmp_path / "old")
    weights = load_file(folder / "model.safetensors")
    old = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): value for name, value in weights.items()}
    old = {name.replace("LayerNorm.bias", "LayerNorm.beta"): value for name, value in old.items()}
    old["bert.embeddings.position_ids"] = np.arange(128, dtype=np.int64)[None]
    old["cls.predictions.bias"] = np.zeros(79, np.float32)
    save_file({name: value for name, value in old.items() if "pooler" not in name}, folder / "model.safetensors")
    assert check(folder).shape.family == "bert"


@pytest.mark.parametrize(
    "words",
    [
        {"auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}},
        {"custom_pipelines": {"text": {"impl": "modeling_evil.Evil"}}},
        {"trust_remote_code": True, "auto_map": {"AutoConfig": "configuration_evil.Evil"}},
        # CVE-2026-4372: a kernel of the Hub by the back door.
        {"_attn_implementation_internal": EVIL},
        {"attn_implementation": EVIL},
        {"_experts_implementation_internal": EVIL},
        {"attn_implementation": {"": EVIL}},
        # CVE-2026-5241: an inner model that trusts code on its own account.
        {"keypoint_detector_config": {"trust_remote_code": True, "auto_map": {"AutoModel": "modeling_evil.Evil"}}},
        {"text_config": {"layers": [{"_attn_implementation": "kernels-community/evil@main"}]}},
    ],
)
def test_a_config_that_asks_for_code_is_refused_and_nothing_runs(
    folder: Path, canary: Path, words: dict[str, Any]
) -> None:
    say(folder, **words)
    assert "We never do that" in refused(folder)
    assert not canary.exists()


def test_a_tokenizer_that_asks_for_code_is_refused(folder: Path, canary: Path) -> None:
    say(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling_evil.Evil", None]})
    assert "tokenizer_config.json asks to run code" in refused(folder)
    assert not canary.exists()


def test_what_only_points_elsewhere_is_dropped_from_a_fetched_model_and_refused_in_a_registered_one(
    folder: Path,
) -> None:
    say(folder, configuration_files=["config.4.0.0.json"], trust_remote_code=False, _attn_implementation="sdpa")
    with pytest.raises(NotABaseModel, match="points to other files"):
        read_model_folder(folder)
    check(folder)
    kept = json.loads((folder / "config.json").read_text())
    assert not {"configuration_files", "trust_remote_code", "_attn_implementation"} & set(kept)


def test_quantised_weights_are_refused(folder: Path) -> None:
    say(folder, quantization_config={"quant_method": "gptq"})
    assert "quantised" in refused(folder)


def test_pickles_alone_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "can run code" in refused(folder)


def test_a_pickle_by_another_name_is_refused_and_never_opened(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "canary"),)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    assert "not a whole safetensors file" in refused(folder)
    assert not (tmp_path / "canary").exists()


def test_an_adapter_that_would_be_loaded_along_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "evil/base"}')
    assert "holds an adapter" in refused(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "extra.json"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    assert f"{name} is a link out of the folder" in refused(folder)


def test_links_as_the_hubs_own_cache_has_them_are_fine(folder: Path) -> None:
    blobs, snapshot = folder.parent / "blobs", folder.parent / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        (blobs / str(number)).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    assert read_model_folder(snapshot).shape == read_model_folder(folder).shape


def test_a_pipe_in_place_of_a_file_does_not_hang(folder: Path) -> None:
    (folder / "generation_config.json").unlink(missing_ok=True)
    os.mkfifo(folder / "generation_config.json")
    with pytest.raises(NotABaseModel, match="not a plain file"):
        read_model_folder(folder)


def test_a_tokenizer_of_a_gigabyte_is_not_read(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(1 << 30)
    assert "tokenizer.json is larger than 64 MB" in refused(folder)


@pytest.mark.parametrize("name", ["../../secret.safetensors", "/etc/passwd", "pytorch_model.bin", "none.safetensors"])
def test_an_index_that_leads_elsewhere_is_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    assert "no safetensors file of this folder" in refused(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][-1] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotABaseModel, match=r"NaN or infinite\), in model\.norm\.weight"):
        check(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_one_number_that_is_none_is_found_in_every_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "model.safetensors"
    fine = torch.full((1001,), torch.finfo(dtype).max, dtype=dtype)
    broken = torch.cat([fine, torch.tensor([float("nan")], dtype=dtype)])
    save_torch_file({"counter": torch.tensor([-1]), "fine": fine}, path)
    assert not_finite_tensor(path) is None
    save_torch_file({"counter": torch.tensor([-1]), "fine": fine, "broken": broken}, path)
    assert not_finite_tensor(path) == "broken"


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    say(folder, intermediate_size=63)
    with pytest.raises(NotABaseModel, match=r"do not fit config\.json"):
        check(folder)


def test_weights_that_are_missing_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotABaseModel, match=r"1 tensors that config\.json promises are not in the weights"):
        check(folder)


def test_a_tokenizer_with_more_words_than_the_model_is_refused(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"word{number}": 100 + number for number in range(200)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "up to 300, and the model has rows for 79" in refused(folder)


def test_a_config_of_a_larger_model_is_refused_before_anything_is_made_of_its_numbers(folder: Path) -> None:
    say(folder, num_hidden_layers=3)
    assert "It is the config of another model" in refused(folder)
    say(folder, num_hidden_layers=10**12)
    assert "no model has more than 1,000" in refused(folder)


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(NotABaseModel, match="tokenizer cannot be used"):
        check(folder)
