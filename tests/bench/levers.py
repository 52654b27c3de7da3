"""What each lever of the engine buys: steps on SmolLM2 with all of them, and with one taken away, in turns.

`python -m tests.bench levers [--repeats 5] [--threads 1] [--without "the norm's own step"]`: on one thread by the
process's own time, which other work on the machine disturbs least; on more by the clock, with nothing beside. Steps of
LoRA, without dropout and with, and of layer freezing's later epochs, which begin at what its trunk remembers; that
trunk itself, and what trains whole jobs, is in `engine`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tests.bench.engine.rows import even, ragged
from tests.bench.presets import base_model_folder
from tests.bench.rows import SMOLLM2
from webapp.contract.base_models import STARTERS
from webapp.contract.methods import KnobValue
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from worker.engine import forward
from worker.engine.batches import MICRO_BATCH_TOKENS, epoch_steps
from worker.engine.encode import Encoded, row_encoder
from worker.engine.forward import Model, padded, unwrapped
from worker.engine.levers import blocks, gate, low_rank, norm, packed_attention, rotary, token_loss
from worker.engine.levers.dropout import kept_by_pytorch
from worker.engine.levers.frozen_trunk import remember_trunk
from worker.engine.levers.packed_rows import pack
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import choose_place, load_base
from worker.engine.step import step_loss
from worker.engine.tokenizer import load_tokenizer

Switch = Callable[[Model], Any]
Clock = Callable[[], float]
NUM_ROWS, NUM_STEPS = 128, 4
NOTHING = "nothing"


def levers(words: Sequence[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench levers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    names = sorted({name for switches in SWITCHES.values() for name in switches})
    parser.add_argument("--without", action="append", choices=names, help="this lever alone; may be said again")
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    clock = time.process_time if asked.threads == 1 else time.perf_counter
    yield "| training | rows | without | ms a token | against all levers |"
    yield "|---|---|---|---|---|"
    for kind, switches in SWITCHES.items():
        chosen = {one: how for one, how in switches.items() if one in asked.without} if asked.without else switches
        if not chosen:
            continue
        model = _model(*KINDS[kind])
        for name, rows in _rows().items():
            with TemporaryDirectory(prefix="gw-") as folder:
                remember_trunk(unwrapped(model), Path(folder), sum(row.length for row in rows))
                for line in _compared(model, rows, {NOTHING: _all, **chosen}, asked.repeats, clock):
                    yield f"| {kind} | {name} | {line} |"


def _model(method: str, changes: dict[str, KnobValue]) -> Model:
    folder = base_model_folder(SMOLLM2)
    knobs = auto_knobs(method, "generate", STARTERS[SMOLLM2].shape, NUM_ROWS) | changes
    recipe = Recipe(task="generate", base_model=SMOLLM2, method=method, knobs=knobs)
    base = load_base(folder, "generate", choose_place(folder, "generate"), [])
    return ENGINE_METHODS[method].build(base, recipe, folder)


def _rows() -> dict[str, list[Encoded]]:
    encode = row_encoder("generate", 700, load_tokenizer(base_model_folder(SMOLLM2), "generate"), [])
    return {
        "prompt-heavy": [encode(row) for row in ragged(NUM_ROWS)],
        "short": [encode(row) for row in even(NUM_ROWS)],
    }


def _compared(
    model: Model, rows: list[Encoded], switches: dict[str, Switch], repeats: int, clock: Clock
) -> Iterator[str]:
    steps = epoch_steps([row.length for row in rows], 8, seed=17, epoch=0)[:NUM_STEPS]
    taken: dict[str, list[float]] = {switch: [] for switch in switches}
    for _ in range(repeats + 1):
        for switch, switched in switches.items():
            with switched(model):
                taken[switch].append(_milliseconds_a_token(model, rows, steps, clock))
    figures = {switch: median(times[1:]) for switch, times in taken.items()}  # the first of each only warms up
    for switch, figure in figures.items():
        yield f"{switch} | {figure:.2f} | {figure / figures[NOTHING]:.2f}"


def _milliseconds_a_token(model: Model, rows: list[Encoded], steps: list[list[int]], clock: Clock) -> float:
    began = clock()
    for step in steps:
        step_loss(model, [rows[at] for at in step], MICRO_BATCH_TOKENS)
        model.zero_grad(set_to_none=True)
    return 1e3 * (clock() - began) / sum(rows[at].length for step in steps for at in step)


@contextmanager
def _all(_model: Model) -> Iterator[None]:
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
def _none_at_all(model: Model) -> Iterator[None]:
    with ExitStack() as stack:
        for switched in (_padded, _whole_last_block, _plain_blocks, _plain_lora, _plain_norms, _no_loops):
            stack.enter_context(switched(model))
        yield


LORA: dict[str, KnobValue] = {"rank": 16, "alpha": 32}
KINDS: dict[str, tuple[str, dict[str, KnobValue]]] = {
    "LoRA": ("lora", LORA),
    "LoRA with dropout": ("lora", {**LORA, "dropout": 0.05}),
    "layer freezing": ("freezing", {"num_blocks": 4}),
}
"""What is trained: the method, and what is not as Auto has it."""
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
    "layer freezing": {
        "the norm's own step": _plain_norms,
        "the last block for labels alone": _whole_last_block,
    },
}
"""What is taken away, and how."""
