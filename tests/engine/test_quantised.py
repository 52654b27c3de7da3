"""QLoRA: the frozen base in 4 bits, as bitsandbytes keeps it, also on a processor."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from tests.engine.here import Attempt, lay_job
from tests.engine.runs import digest_of
from tests.tiny import make_llama
from webapp.contract.job_dir import VERDICT
from worker.engine.model import choose_place, load_base

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


def test_a_worker_without_the_library_says_so(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.quantised.find_spec", lambda name: None)
    assert importlib.util.find_spec("bitsandbytes")
    attempt = Attempt(lay_job(tmp_path, quantised="4bit"))
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed"
    assert "bitsandbytes" in failed.message and "As they are" in failed.message
