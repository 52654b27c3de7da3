"""Compiled layers: the same losses and gradients, only where they pay, and never the end of a job."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.here import Attempt, lay_job
from tests.engine.packs import ROWS, gradients, row
from tests.engine.runs import MAKERS
from tests.tiny import make_llama, tiny_recipe
from worker.engine.forward import Model, token_losses, unwrapped
from worker.engine.levers import compiled
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base

FP32 = Place(torch.device("cpu"), torch.float32, torch.float32)


def model_of(base: Path, method: str = "lora", **knobs: Any) -> Model:
    recipe = tiny_recipe(base, method=method, **knobs)
    return ENGINE_METHODS[method].build(load_base(base, "generate", FP32, []), recipe, base).train()


def test_it_pays_for_long_trainings_on_cards_alone(tmp_path: Path) -> None:
    model = model_of(make_llama(tmp_path / "base"))
    assert not compiled.pays(model, 1e15)
    card = unwrapped(model).to("meta")
    card.get_input_embeddings().weight = _OnCard(card.get_input_embeddings().weight)
    assert compiled.pays(card, 1e15)
    assert not compiled.pays(card, 1e6)


class _OnCard(torch.nn.Parameter):
    """Says that it lies on a card."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_decoders_can_be_compiled(tmp_path: Path, family: str) -> None:
    assert compiled.can_compile(model_of(MAKERS[family](tmp_path / "base")))


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_other_families_are_not_compiled(tmp_path: Path, family: str) -> None:
    task: Any = {"bert": "classify", "t5": "transform"}[family]
    assert not compiled.can_compile(load_base(MAKERS[family](tmp_path / "base"), task, FP32, ["a", "b"]))


def test_blocks_computed_again_are_not_compiled(tmp_path: Path) -> None:
    model = model_of(make_llama(tmp_path / "base"))
    unwrapped(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert not compiled.can_compile(model)


def test_what_cannot_be_compiled_is_trained_as_it_is_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Attempt(lay_job(tmp_path))

    def broken(*_args: Any, **_rest: Any) -> Any:
        def fail(*_args: Any, **_rest: Any) -> Any:
            raise RuntimeError("no compiler here\nand much more")

        return fail

    monkeypatch.setattr(compiled, "pays", lambda _model, _tokens: True)
    monkeypatch.setattr(torch, "compile", broken)
    attempt = Attempt(lay_job(tmp_path))
    told = [(one.phase, one.sentence) for one in attempt.of_kind("phase_moved")]
    why = "The model's layers could not be compiled (RuntimeError: no compiler here), so training goes on without that."
    assert told[1:3] == [("preparing", "Preparing (compiling the model's layers)."), ("loading", why)]
    assert attempt.exit_code == 0 and attempt.trace == plain.trace


def test_trying_it_out_disturbs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dice, gradients, and what measures and writes."""
    plain = Attempt(lay_job(tmp_path))
    calls: list[bool] = []

    def counting(forward: Any, **_rest: Any) -> Any:
        def counted(*args: Any, **rest: Any) -> Any:
            calls.append(torch.is_grad_enabled())
            return forward(*args, **rest)

        return counted

    monkeypatch.setattr(compiled, "pays", lambda _model, _tokens: True)
    monkeypatch.setattr(torch, "compile", counting)
    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", False)
    attempt = Attempt(lay_job(tmp_path))
    assert calls and all(calls)
    assert (attempt.trace, attempt.watched) == (plain.trace, plain.watched)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["lora", "bottleneck", "prefix_tuning", "full"])
def test_compiled_layers_compute_the_same(tmp_path: Path, family: str, method: str) -> None:
    """Needs g++."""
    knobs = {"dropout": 0.0} if method == "lora" else {}
    model = model_of(MAKERS[family](tmp_path / "base"), method, **knobs)
    packs = [[row(ids) for ids in ROWS[:many]] for many in (2, 3)]

    def seen() -> list[tuple[Tensor, dict[str, Tensor]]]:
        losses = [token_losses(model, rows)[0] for rows in packs]
        return [(one.detach(), gradients(one.sum(), model)) for one in losses]

    plain = seen()
    undo = compiled.compile_layers(model)
    try:
        quick = seen()
    finally:
        undo()
    for (losses, grads), (plain_losses, plain_grads) in zip(quick, plain, strict=True):
        torch.testing.assert_close(losses, plain_losses, rtol=1e-5, atol=1e-5)
        assert grads.keys() == plain_grads.keys()
        for name, one in plain_grads.items():
            assert (grads[name] - one).norm() <= 1e-5 * one.norm() + 1e-7, name
