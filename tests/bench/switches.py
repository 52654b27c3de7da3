"""What takes a lever of the engine away for a while, and which levers each training has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from worker.engine import forward
from worker.engine.forward import Model, padded, unwrapped
from worker.engine.levers import blocks, gate, layer_norm, low_rank, norm, packed_attention, rotary, token_loss
from worker.engine.levers.dropout import kept_by_pytorch
from worker.engine.levers.packed_rows import pack

Switch = Callable[[Model], Any]


@contextmanager
def all_of_them(_model: Model) -> Iterator[None]:
    yield


@contextmanager
def _library_s(model: Model, *kinds: str) -> Iterator[None]:
    """Modules whose name ends like one of these, computed by their own library for as long."""
    quick = [module for name, module in model.named_modules() if name.endswith(kinds) and "forward" in vars(module)]
    assert quick
    held = [vars(module).pop("forward") for module in quick]
    yield
    for module, forward_of in zip(quick, held, strict=True):
        module.forward = forward_of


def _plain_lora(model: Model) -> Any:
    return _library_s(model, "_proj")


def _plain_blocks(model: Model) -> Any:
    return _library_s(model, "self_attn", "mlp")


@contextmanager
def _plain_norms(model: Model) -> Iterator[None]:
    with _library_s(model, "norm"), patch.object(blocks, "normed_sum", _plain_sum):
        yield


def _plain_sum(norm: Any, x: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
    total = x if added is None else added + x
    return norm(total), total


@contextmanager
def _no_loops(_model: Model) -> Iterator[None]:
    """All that goes through memory once, as PyTorch's passes."""
    with ExitStack() as stack:
        for lever in (gate, norm, packed_attention, rotary, token_loss):
            stack.enter_context(patch.object(lever, "takes", lambda *_tensors: False))
        yield


@contextmanager
def _no_shared_start(_model: Model) -> Iterator[None]:
    with patch.object(forward, "pack", lambda rows, **how: pack(rows, **how, shares=False)):
        yield


@contextmanager
def _padded(_model: Model) -> Iterator[None]:
    """Rows side by side, each filled up to the longest, and the attention that comes with transformers."""
    with patch.object(forward, "hidden_states", _padded_states):
        yield


def _padded_states(model: Model, rows: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> Tensor:
    ids, _mask = padded(model, rows, "right")
    states: Tensor = unwrapped(model).base_model(input_ids=ids, use_cache=False).last_hidden_state
    return states[tuple(torch.tensor(places).T)]


@contextmanager
def _whole_last_block(model: Model) -> Iterator[None]:
    with patch.object(unwrapped(model), "narrows", False), _library_s(model, "layers.29"):
        yield


@contextmanager
def _kernel(_model: Model) -> Iterator[None]:
    with patch.object(packed_attention._Attention, "apply", _by_kernel):
        yield


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, how: Any) -> Tensor:
    """The same rows, one after the other, through the processor's own kernel."""
    heads, outputs = q.shape[1] // k.shape[1], []
    for group in how.layout.groups:
        ends = [group.begin + end for end in torch.tensor(group.lengths).cumsum(0).tolist()]
        for begin, end in zip([group.begin, *ends], ends, strict=False):
            keys, values = (
                torch.cat([one[: group.sees], one[begin:end]]).transpose(0, 1).repeat_interleave(heads, 0)
                for one in (k, v)
            )
            seen = group.sees
            mask = torch.ones(end - begin, seen + end - begin, dtype=torch.bool).tril(seen) if seen else None
            query = q[begin:end].transpose(0, 1)
            outputs.append(
                scaled_dot_product_attention(
                    query[None], keys[None], values[None], mask, is_causal=mask is None, scale=how.scale
                )[0].transpose(0, 1)
            )
    return torch.cat(outputs)


@contextmanager
def _library_s_dice(_model: Model) -> Iterator[None]:
    with patch.object(low_rank, "kept", kept_by_pytorch):
        yield


@contextmanager
def _plain_layer_norms(_model: Model) -> Iterator[None]:
    """Layer norm, its sum and its dropout in as many passes as PyTorch takes."""
    with (
        patch.object(layer_norm, "takes", lambda *_tensors: False),
        patch.object(blocks, "normed_after", lambda norm, dropout, x, beside: norm(dropout(x) + beside)),
    ):
        yield


@contextmanager
def _library_s_attention(_model: Model) -> Iterator[None]:
    with patch.object(blocks, "padded_takes", lambda *_tensors: False):
        yield


@contextmanager
def _three_products(_model: Model) -> Iterator[None]:
    with patch.object(blocks, "joined", lambda layers, x: torch.cat(low_rank.together(layers, x), dim=-1)):
        yield


@contextmanager
def _no_encoder_s(model: Model) -> Iterator[None]:
    with _plain_layer_norms(model), _library_s_attention(model), _three_products(model):
        yield


@contextmanager
def _none_at_all(model: Model) -> Iterator[None]:
    with ExitStack() as stack:
        for switched in (_padded, _whole_last_block, _plain_blocks, _plain_lora, _plain_norms, _no_loops):
            stack.enter_context(switched(model))
        yield


SWITCHES: dict[str, dict[str, Switch]] = {
    "LoRA": {
        "one start for all rows": _no_shared_start,
        "packed rows (padded instead)": _padded,
        "attention written out": _kernel,
        "LoRA's own layer": _plain_lora,
        "one step for what reads the same, and its own rotation": _plain_blocks,
        "the norm's own step": _plain_norms,
        "loops of our own": _no_loops,
        "the last block for labels alone": _whole_last_block,
        "all of these": _none_at_all,
    },
    "LoRA with dropout": {"dropout's own dice": _library_s_dice},
    "LoRA, MiniLM": {
        "attention over padded rows": _library_s_attention,
        "layer norm with its dropout and sum": _plain_layer_norms,
        "one product for queries, keys and values": _three_products,
        "all of these": _no_encoder_s,
    },
    "layer freezing": {
        "the norm's own step": _plain_norms,
        "the last block for labels alone": _whole_last_block,
    },
}
"""What is taken away, and how."""
