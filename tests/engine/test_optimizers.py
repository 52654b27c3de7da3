"""Optimizers: AdamW in one pass computes AdamW; in 8 bits it learns, stops and goes on, and takes less memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.engine.here import Attempt, asked, lay_job, with_options
from tests.gpu import checks
from tests.tiny import make_llama, tiny_recipe
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.recipe import Recipe
from worker.engine.optimizer import moments_of, optimizer_of, optimizer_problem, restore_moments

WIDE = {"hidden_size": 64, "intermediate_size": 128}
"""So that its matrices have the 4,096 numbers from which on 8 bits are used."""
FAR: dict[str, Any] = {"batch_size": 24, "epochs": 4, "learning_rate": 2e-3, "patience": 0}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_llama(tmp_path / "base", **WIDE)


def weights_after(recipe: Recipe, optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]) -> list[Tensor]:
    """Three steps along gradients at random."""
    dice = torch.Generator().manual_seed(5)
    for _step in range(3):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=dice)
        optimizer.step()
    return [weight.detach().clone() for weight in weights]


def fresh_weights() -> list[nn.Parameter]:
    torch.manual_seed(1)
    return [nn.Parameter(torch.randn(64, 128)), nn.Parameter(torch.randn(7))]


def test_adamw_in_one_pass_is_adamw(base: Path) -> None:
    recipe, ours, theirs = tiny_recipe(base, weight_decay=0.1), fresh_weights(), fresh_weights()
    plain = torch.optim.AdamW(theirs, lr=recipe.number("learning_rate"), weight_decay=0.1, fused=False, foreach=False)
    found, expected = weights_after(recipe, optimizer_of(recipe, ours), ours), weights_after(recipe, plain, theirs)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["adamw", "adamw_8bit"])
def test_what_is_kept_of_an_optimizer_is_all_its_next_steps_need(base: Path, kind: str) -> None:
    recipe, weights = tiny_recipe(base, optimizer=kind), fresh_weights()
    optimizer = optimizer_of(recipe, weights)
    weights_after(recipe, optimizer, weights)
    kept = {name: tensor.clone() for name, tensor in moments_of(optimizer).items()}
    again = [nn.Parameter(weight.detach().clone()) for weight in weights]
    other = optimizer_of(recipe, again)
    restore_moments(other, kept)
    for one, two in zip(weights_after(recipe, optimizer, weights), weights_after(recipe, other, again), strict=True):
        assert torch.equal(one, two)


def test_full_fine_tuning_in_8_bits_learns_and_goes_on_where_it_stopped(base: Path, tmp_path: Path) -> None:
    knobs = {**FAR, "method": "full", "optimizer": "adamw_8bit"}
    whole = Attempt(lay_job(tmp_path, **knobs))
    assert whole.exit_code == 0, whole.events[-1]
    watched = [loss for loss, _is_best in whole.watched.values()]
    assert min(watched[1:]) < watched[0]
    job_dir = with_options(lay_job(tmp_path, **knobs))
    first = asked(job_dir, "stop", "stepped", 3)
    (checkpoint,) = checkpoints_in(job_dir)
    moments = load_file(checkpoint.folder / "optimizer.safetensors")
    assert torch.uint8 in {tensor.dtype for tensor in moments.values()}
    second = Attempt(job_dir)
    assert first.trace | second.trace == whole.trace


def test_8_bits_take_a_quarter_of_the_memory(base: Path) -> None:
    weights = [nn.Parameter(torch.randn(256, 256))]
    size = {}
    for kind in ("adamw", "adamw_8bit"):
        recipe = tiny_recipe(base, optimizer=kind)
        optimizer = optimizer_of(recipe, weights)
        weights_after(recipe, optimizer, weights)
        size[kind] = sum(tensor.nbytes for tensor in moments_of(optimizer).values())
    assert size["adamw_8bit"] < 0.26 * size["adamw"]


def test_a_recipe_from_before_there_was_a_choice_trains_with_adamw(base: Path) -> None:
    new = tiny_recipe(base).model_dump()
    old = {**new, "version": 2, "knobs": {name: value for name, value in new["knobs"].items() if name != "optimizer"}}
    recipe = Recipe.model_validate(old)
    assert isinstance(optimizer_of(recipe, fresh_weights()), torch.optim.AdamW)
    assert recipe.model_dump() == old


def test_a_worker_without_the_library_says_so(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.optimizer.find_spec", lambda _name: None)
    attempt = Attempt(lay_job(tmp_path, optimizer="adamw_8bit"))
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed" and failed.code == "worker_lacks"
    assert "bitsandbytes" in failed.message and "“AdamW”" in failed.message
    assert not attempt.of_kind("stepped")


def test_pages_are_for_cards(base: Path) -> None:
    recipe = tiny_recipe(base, optimizer="paged_adamw_8bit")
    assert "AdamW in 8 bits" in (optimizer_problem(recipe, torch.device("cpu")) or "")
    assert optimizer_problem(recipe, torch.device("cuda")) is None


@pytest.mark.gpu
def test_a_paged_optimizer_goes_on_as_if_undisturbed(tmp_path: Path) -> None:
    checks.a_paged_optimizer_goes_on_as_if_undisturbed(tmp_path, torch.device("cuda"))
