"""QLoRA: the frozen base in 4 bits, as bitsandbytes keeps it, also on a processor."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from torch import Tensor

from tests.engine.here import Attempt, lay_job
from tests.engine.runs import digest_of
from tests.tiny import make_llama, tiny_recipe
from webapp.contract.job_dir import VERDICT
from worker.engine.encode import Encoded
from worker.engine.forward import Model, token_losses
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, choose_place, load_base

WIDE = {"hidden_size": 64, "intermediate_size": 128}
"""bitsandbytes shares one scale among 64 weights."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_llama(tmp_path / "base", **WIDE)


def test_lora_trains_beside_a_base_in_4_bits(base: Path, tmp_path: Path) -> None:
    before = digest_of(base)
    attempt = Attempt(lay_job(tmp_path, quantised="4bit", patience=0))
    assert attempt.exit_code == 0, attempt.events[-1]
    watched = [loss for loss, _is_best in attempt.watched.values()]
    assert min(watched[1:]) < watched[0]
    assert digest_of(base) == before
    assert {weight.dtype for weight in attempt.weights.values()} == {torch.float32}
    cost = json.loads((attempt.job_dir / VERDICT).read_text())["cost"]
    whole = Attempt(lay_job(tmp_path, patience=0))
    assert cost["total_params"] == json.loads((whole.job_dir / VERDICT).read_text())["cost"]["total_params"]


def test_the_base_takes_a_fraction_of_its_memory(base: Path) -> None:
    place = choose_place(base, "generate")
    quantised, whole = (load_base(base, "generate", place, [], is_quantised=yes) for yes in (True, False))
    wide = "model.layers.0.mlp.up_proj.weight"
    assert quantised.get_parameter(wide).nbytes * 8 == whole.get_parameter(wide).nbytes


def test_gradients_are_those_of_the_same_numbers_kept_whole(base: Path) -> None:
    """After a measurement without gradients too, as each job makes of the base before it trains."""
    place = Place(torch.device("cpu"), torch.float32, torch.float32)
    quantised, whole = (load_base(base, "generate", place, [], is_quantised=yes) for yes in (True, False))
    for name, module in quantised.named_modules():
        if isinstance(module, Linear4bit):
            numbers = dequantize_4bit(module.weight.data, module.weight.quant_state)
            whole.get_submodule(name).weight.data = numbers
    (loss, gradients), (loss_of_whole, of_whole) = (loss_and_gradients(model, base) for model in (quantised, whole))
    assert loss == pytest.approx(loss_of_whole, rel=1e-5)
    for name, gradient in of_whole.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-5)
    assert any(gradient.abs().max() > 0.01 for gradient in of_whole.values())


def loss_and_gradients(base_model: Model, folder: Path) -> tuple[float, dict[str, Tensor]]:
    rows = [Encoded([7, 8, 9, 10], [False, True, True, True], [7]), Encoded([9, 10], [False, True], [9])]
    with torch.no_grad():
        token_losses(base_model, rows)
    model = ENGINE_METHODS["lora"].build(base_model, tiny_recipe(folder, dropout=0.0), folder).train()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    torch.manual_seed(2)
    for weight in trained.values():
        torch.nn.init.normal_(weight, std=0.1)
    losses, _rows = token_losses(model, rows)
    losses.mean().backward()
    return losses.mean().item(), {name: weight.grad for name, weight in trained.items() if weight.grad is not None}


def test_a_worker_without_the_library_says_so(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.quantised.find_spec", lambda name: None)
    assert importlib.util.find_spec("bitsandbytes")
    attempt = Attempt(lay_job(tmp_path, quantised="4bit"))
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed"
    assert "bitsandbytes" in failed.message and "As they are" in failed.message
