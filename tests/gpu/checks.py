"""The checks marked `gpu`, as plain functions: pytest wraps them, and `tests/gpu/run.py` calls them without pytest.

On a processor each runs through as far as it can and then says why it has shown nothing.
"""

from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from tests.engine.packs import ROWS, gradients, row, trained_model
from tests.tiny import make_llama, tiny_recipe
from worker.engine import step
from worker.engine.fit import LARGEST_GRADIENT_NORM
from worker.engine.forward import token_losses
from worker.engine.levers import packed_attention
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base
from worker.engine.optimizer import moments_of, optimizer_of, restore_moments

PACKED_METHODS = ("lora", "prompt_tuning", "prefix_tuning")


class Skipped(Exception):
    """The check has shown nothing; the message says why."""


def kernel_has_the_gradients_of_what_is_written_out(folder: Path, device: torch.device, method: str) -> None:
    """The card's attention kernel for rows of different lengths against masked attention."""
    model = trained_model(make_llama(folder / "base", max_position_embeddings=512), method).to(device, torch.bfloat16)
    rows = [row(ids) for ids in ROWS]

    def seen() -> tuple[Tensor, dict[str, Tensor]]:
        found = token_losses(model, rows)[0]
        return found.detach(), gradients(found.mean(), model)

    kernel = packed_attention.varlen_attention
    with patch.object(packed_attention, "varlen_attention", side_effect=kernel) as called:
        quick, quick_gradients = seen()
    with patch.object(packed_attention, "varlen_takes", lambda *_args, **_rest: False):
        plain, plain_gradients = seen()
    torch.testing.assert_close(quick, plain, rtol=0.05, atol=0.05)
    for name, one in plain_gradients.items():
        assert (quick_gradients[name] - one).norm() <= 0.05 * one.norm() + 1e-3, name
    need_card(device)
    assert called.called


def a_step_never_waits(folder: Path, device: torch.device) -> None:
    """PyTorch raises an error wherever the processor would wait for a number on the card."""
    base = make_llama(folder / "base", max_position_embeddings=512)
    place = Place(device, torch.bfloat16, torch.bfloat16)
    model = ENGINE_METHODS["lora"].build(load_base(base, "generate", place, []), tiny_recipe(base), base)
    rows = [row(ids) for ids in ROWS]
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = optimizer_of(tiny_recipe(base), trained)
    step.step_loss(model, rows, 400)  # the first one readies the card's libraries
    optimizer.step()
    need_card(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step.step_loss(model, rows, 400)
        nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT_NORM)
        optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def a_paged_optimizer_goes_on_as_if_undisturbed(folder: Path, device: torch.device) -> None:
    """Moments that were kept and put back lead to the same next step."""
    if find_spec("bitsandbytes") is None:
        raise Skipped("the package bitsandbytes, of the extra “quantised”, is not installed")
    kind = "paged_adamw_8bit" if device.type == "cuda" else "adamw_8bit"
    recipe = tiny_recipe(make_llama(folder / "base"), optimizer=kind)
    torch.manual_seed(1)
    weight = nn.Parameter(torch.randn(512, 512, device=device))  # of a size that is paged
    optimizer, gradient = optimizer_of(recipe, [weight]), torch.randn_like(weight)

    def take_step(one: torch.optim.Optimizer, of: nn.Parameter) -> None:
        of.grad = gradient.clone()
        one.step()

    take_step(optimizer, weight)
    kept = {name: tensor.detach().cpu().clone() for name, tensor in moments_of(optimizer).items()}
    again = nn.Parameter(weight.detach().clone())
    other = optimizer_of(recipe, [again])
    restore_moments(other, kept)
    take_step(optimizer, weight)
    take_step(other, again)
    assert torch.equal(weight, again)
    need_card(device)


def need_card(device: torch.device) -> None:
    if device.type != "cuda":
        raise Skipped("it ran through, but only a CUDA device can show this")
