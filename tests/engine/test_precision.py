"""A base kept in 16 bits computes in them where the machine can; what is trained stays in 32."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.cells import LEARNING_RATES
from tests.engine.here import Attempt, lay_job
from tests.tiny import capitals, lay_job_dir, make_llama, tiny_recipe
from webapp.contract.events import Evaluated, Event, Started
from webapp.contract.job_dir import ADAPTER
from webapp.contract.methods import METHODS
from worker.engine.model import choose_place
from worker.engine.stop import never
from worker.engine.train import train


def halved(base: Path) -> Path:
    """The same model, kept in bf16."""
    weights = load_file(base / "model.safetensors")
    halves = {name: weight.to(torch.bfloat16) for name, weight in weights.items()}
    save_file(halves, base / "model.safetensors", {"format": "pt"})
    config = (base / "config.json").read_text()
    assert '"float32"' in config
    (base / "config.json").write_text(config.replace('"float32"', '"bfloat16"'))
    return base


def test_a_base_kept_in_32_bits_computes_in_32(tmp_path: Path) -> None:
    assert choose_place(make_llama(tmp_path / "base"), "generate").precision == "fp32"


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_classifier_is_kept_in_32_bits_and_steps_in_16_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_fast: bool
) -> None:
    monkeypatch.setattr("worker.engine.model.cpu_has_bf16", lambda: is_fast)
    place = choose_place(halved(make_llama(tmp_path / "base")), "classify")
    assert (place.dtype, place.is_mixed) == (torch.float32, is_fast)


@pytest.mark.parametrize("method", METHODS)
def test_a_base_kept_in_16_bits_learns_too(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.model.cpu_has_bf16", lambda: True)
    base = halved(make_llama(tmp_path / "base"))
    recipe = tiny_recipe(base, method=method, epochs=8, learning_rate=LEARNING_RATES.get(method, 0.02))
    told: list[Event] = []
    job_dir = lay_job_dir(tmp_path / "job", recipe, capitals(), base)
    train(job_dir, never, told.append)
    (started,) = (event for event in told if isinstance(event, Started))
    watched = [event.loss for event in told if isinstance(event, Evaluated)]
    assert (started.precision, started.threads) == ("bf16", torch.get_num_threads())
    assert min(watched) < 0.95 * watched[0]
    kept_as = torch.bfloat16 if method in ("freezing", "full") else torch.float32
    kept = [load_file(file) for file in (job_dir / ADAPTER).glob("*.safetensors")]
    assert {weight.dtype for weights in kept for weight in weights.values()} == {kept_as}


@pytest.mark.parametrize("method", ["lora", "prefix_tuning", "bottleneck"])
def test_a_decoder_that_labels_steps_in_16_bits(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.model.cpu_has_bf16", lambda: True)
    attempt = Attempt(lay_job(tmp_path, task="classify", method=method, kind="llama", epochs=2))
    assert attempt.exit_code == 0, attempt.events[-1]
    assert len(attempt.watched) > 1
