"""Attention over packed rows is attention with a mask, and keeps what it needs where autograd can let go of it."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.weak import TensorWeakRef

from tests.engine.packs import ROWS
from tests.engine.test_levers import CLOSE
from tests.tiny import make_llama, tiny_recipe
from worker.engine.forward import hidden_states, unwrapped
from worker.engine.levers import packed_attention
from worker.engine.levers.packed_rows import Layout, pack
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base


def allowed(layout: Layout, prefix: int, window: int | None = None) -> Tensor:
    """(tokens, prefix + tokens): which pairs attention may look at, written down the slow way."""
    tokens = len(layout.positions)
    owner = torch.full((tokens,), -1)
    for number, start in enumerate(layout.starts):
        owner[start : layout.starts[number + 1] if number + 1 < len(layout.starts) else tokens] = number
    place = torch.arange(tokens)
    sees = ((owner[:, None] == owner) | (owner == -1)) & (place[:, None] >= place)
    sees = torch.cat([torch.ones(tokens, prefix, dtype=torch.bool), sees], dim=1)
    if window is not None:
        key = torch.cat([torch.arange(prefix), prefix + layout.positions])
        sees &= key > prefix + layout.positions[:, None] - window
    return sees


@pytest.mark.parametrize(("num_virtual", "prefix", "window"), [(0, 0, None), (3, 0, None), (0, 4, None), (0, 0, 40)])
@pytest.mark.parametrize("longest_kept", [0, 1024])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["by PyTorch", "by a loop of ours"])
def test_packed_attention_is_attention_with_a_mask(
    monkeypatch: pytest.MonkeyPatch,
    num_virtual: int,
    prefix: int,
    window: int | None,
    longest_kept: int,
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr(packed_attention, "LONGEST_KEPT", longest_kept)
    torch.manual_seed(0)
    layout = pack(ROWS, num_virtual=num_virtual).layout
    tokens = len(layout.positions)
    sizes = ((4, tokens), (2, prefix + tokens), (2, prefix + tokens))
    q, k, v = (torch.randn(1, heads, many, 8, dtype=dtype, requires_grad=True) for heads, many in sizes)
    packed, _ = packed_attention.packed_attention(
        nn.Module(), q, k, v, None, layout=layout, scaling=0.3, sliding_window=window
    )
    plain = scaled_dot_product_attention(
        q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), allowed(layout, prefix, window), scale=0.3
    ).transpose(1, 2)
    close = CLOSE if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(packed, plain, **close)
    grad = torch.randn_like(packed)
    for ours, theirs in zip(
        torch.autograd.grad(packed, (q, k, v), grad), torch.autograd.grad(plain, (q, k, v), grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **close)


def test_dropout_in_packed_attention_drops_the_same_back_as_forth() -> None:
    """Finite differences with the dice thrown alike."""
    layout = pack(ROWS[:2]).layout
    tokens = len(layout.positions)
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, tokens, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))

    def attend(*inputs: Tensor) -> Tensor:
        torch.manual_seed(1)
        return packed_attention.packed_attention(nn.Module(), *inputs, None, layout=layout, scaling=0.5, dropout=0.4)[0]

    assert torch.autograd.gradcheck(attend, (q, k, v))


def tiny_model(folder: Path, *, saves_memory: bool) -> Any:
    """As the engine loads it."""
    torch.manual_seed(1)
    place = Place(torch.device("cpu"), torch.float32, torch.float32)
    recipe = tiny_recipe(folder)
    model = ENGINE_METHODS["lora"].build(load_base(folder, "generate", place, []), recipe, folder).train()
    if saves_memory:
        unwrapped(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def test_where_memory_is_saved_each_block_is_computed_again_and_gradients_are_the_same(tmp_path: Path) -> None:
    folder, found = make_llama(tmp_path / "base"), []
    for saves_memory in (False, True):
        model = tiny_model(folder, saves_memory=saves_memory)
        calls: list[Any] = []
        blocks = unwrapped(model).base_model.layers
        for block in blocks:
            block.mlp.register_forward_pre_hook(lambda module, _inputs, calls=calls: calls.append(module))
        hidden_states(model, [[4, 5, 6], [4, 7, 8, 9]], [(0, 2), (1, 3)]).square().sum().backward()
        assert len(calls) == len(blocks) * (2 if saves_memory else 1)
        found.append([weight.grad for weight in model.parameters() if weight.requires_grad])
    plain, again = found
    assert plain and all(one is not None and one.isfinite().all() for one in plain)
    torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("saves_memory", [True, False])
def test_of_what_is_computed_again_no_attention_is_kept_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves_memory: bool
) -> None:
    model = tiny_model(make_llama(tmp_path / "base"), saves_memory=saves_memory)
    made: list[TensorWeakRef] = []

    def noted(block: Any, q: Tensor, k: Tensor) -> Tensor:
        found = attention(block, q, k)
        made.append(TensorWeakRef(found))
        return found

    attention = packed_attention._Block.attention
    monkeypatch.setattr(packed_attention._Block, "attention", noted)
    states = hidden_states(model, [[4, 5, 6], [4, 7, 8, 9]], [(0, 2), (1, 3)])
    gc.collect()
    forward = len(made)
    assert forward >= 2
    assert [ref() is None for ref in made] == [saves_memory] * forward
    states.sum().backward()
    assert len(made) == forward * (2 if saves_memory else 1)
