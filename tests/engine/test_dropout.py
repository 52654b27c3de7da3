"""Dropout with its own dice: how often it drops, what it makes of the rest, and where."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.tiny import make_bert
from worker.engine.levers.dropout import kept, quicken_dropouts
from worker.engine.model import choose_place, load_base


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_it_drops_as_often_as_asked_and_makes_up_for_it(dropout: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    found = kept(torch.empty(1001, 333, dtype=dtype), dropout)
    assert (found.dtype, found.shape) == (dtype, (1001, 333))
    dropped = (found == 0).double().mean().item()
    assert dropped == pytest.approx(dropout, abs=5 * (dropout * (1 - dropout) / found.numel()) ** 0.5)
    assert found.unique().tolist() == pytest.approx(
        [0, 1 / (1 - dropout)], rel=1e-2 if dtype == torch.bfloat16 else 1e-4
    )


def test_each_of_four_dice_of_a_number_falls_for_itself() -> None:
    torch.manual_seed(0)
    stays = (kept(torch.empty(100_000, 4), 0.5) > 0).double()
    assert (torch.corrcoef(stays.T) - torch.eye(4)).abs().max() < 0.02


def test_the_same_seed_throws_the_same_dice_and_another_others() -> None:
    thrown = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        thrown.append(kept(torch.empty(64, 8), 0.3))
    assert torch.equal(thrown[0], thrown[1])
    assert not torch.equal(thrown[0], thrown[2])


def test_all_but_everything_is_dropped_at_most() -> None:
    assert kept(torch.empty(1000), 1.0).isfinite().all()


def test_a_module_drops_in_training_alone_the_same_back_as_forth() -> None:
    module = nn.Sequential(nn.Dropout(0.5))
    quicken_dropouts(module)
    x = torch.randn(50, 7, requires_grad=True)
    assert module.eval()(x) is x
    output = module.train()(x)
    (grad,) = torch.autograd.grad(output.sum(), x)
    assert set(grad.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(output, x * grad)


def test_an_encoder_that_is_loaded_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bert(tmp_path / "base")
    base = load_base(tmp_path / "base", "classify", choose_place(tmp_path / "base", "classify"), ["a", "b"])
    calls: list[float] = []
    monkeypatch.setattr(
        "worker.engine.levers.dropout.kept", lambda like, dropout: (calls.append(dropout), torch.ones_like(like))[1]
    )
    base.train()(input_ids=torch.ones(1, 3, dtype=torch.long))
    assert set(calls) == {base.config.hidden_dropout_prob}
