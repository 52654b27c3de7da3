"""A decoder's blocks compiled by PyTorch (torch.compile, Ansel et al. 2024), on cards and for long trainings only.

Norms, activations and adapters between two products become one kernel each. Attention stays as it is: its rows differ
from pack to pack, and each would be compiled anew. What was compiled is kept on the disk, see `worker/slots.py`.
Whatever goes wrong, training goes on without it and says so. On two cores of a processor the first step of a tiny Llama
took up to two minutes more, with the same losses and gradients; on a card nobody has measured it yet.
"""

import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from webapp.contract.events import Event, PhaseMoved
from webapp.contract.model_shape import FAMILY_OF_TYPE
from webapp.contract.work import FLOPS_A_SECOND
from worker.engine.encode import Encoded
from worker.engine.forward import Model, unwrapped
from worker.engine.levers import packed_attention
from worker.engine.rows import EncodedRows
from worker.engine.step import step_loss

COMPILE_SECONDS = 120.0
"""With nothing on the disk yet. Guessed from a processor, which has other kernels to make."""
SAVED_SHARE = 0.2
"""Of a step's time. Guessed: a third of an uncompiled step on a processor was such elementwise work."""
FLOPS_A_WEIGHT = 6.0
"""For each token: forward, and backward through and to the weights."""
TRIED_ROWS = 2


def compile_where_it_pays(
    model: Model, rows: EncodedRows, epochs: int, report: Callable[[Event], None], *, is_sharded: bool = False
) -> None:
    """For a training that goes `epochs` times through the rows."""
    tokens = epochs * sum(rows.lengths)
    if is_sharded or not can_compile(model) or not pays(model, tokens):
        return
    report(PhaseMoved(phase="preparing", sentence="Preparing (compiling the model's layers)."))
    undo = None
    try:
        undo = compile_layers(model)
        _try_out(model, [rows[number] for number in range(min(TRIED_ROWS, len(rows)))])
    except Exception as error:
        traceback.print_exc()
        if undo is not None:
            undo()
        why = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        sentence = f"The model's layers could not be compiled ({why}), so training goes on without that."
        report(PhaseMoved(phase="loading", sentence=sentence))  # another phase, so that it stays in the history


def can_compile(model: Model) -> bool:
    """Not where blocks are computed again for the backward pass, or kept in 4 bits."""
    causal = unwrapped(model)
    is_decoder = FAMILY_OF_TYPE.get(causal.config.model_type) in ("llama", "gpt2")
    is_whole = not getattr(causal, "is_loaded_in_4bit", False)
    is_again = any(getattr(module, "gradient_checkpointing", False) for module in causal.modules())
    return is_decoder and is_whole and not is_again


def pays(model: Model, tokens: float) -> bool:
    """Whether it would save more of the training than it costs."""
    if unwrapped(model).get_input_embeddings().weight.device.type != "cuda":
        return False
    num_weights: int = sum(weight.numel() for weight in model.parameters())
    seconds = tokens * FLOPS_A_WEIGHT * num_weights / FLOPS_A_SECOND["gpu"]
    return SAVED_SHARE * seconds > COMPILE_SECONDS


def compile_layers(model: Model) -> Callable[[], None]:
    """For steps alone: measured and written with they stay as they are. Returns what undoes it."""
    attention = torch.compiler.disable(packed_attention.packed_attention)  # type: ignore[no-untyped-call]
    AttentionInterface.register(packed_attention.NAME, attention)
    names = set(unwrapped(model)._no_split_modules)
    blocks = [module for module in model.modules() if type(module).__name__ in names]
    before = [block.forward for block in blocks]
    for block in blocks:
        block.forward = _in_steps(block)

    def undo() -> None:
        AttentionInterface.register(packed_attention.NAME, packed_attention.packed_attention)
        for block, forward in zip(blocks, before, strict=True):
            block.forward = forward

    return undo


def _in_steps(block: nn.Module) -> Callable[..., Any]:
    plain, compiled = block.forward, torch.compile(block.forward, dynamic=True)

    def forward(*args: Any, **rest: Any) -> Any:
        return (compiled if block.training else plain)(*args, **rest)

    return forward


def _try_out(model: Model, rows: list[Encoded]) -> None:
    """A step on nothing, after which neither gradients nor dice have changed. What only later shapes bring to light is
    computed uncompiled."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        step_loss(model, rows, sum(row.length for row in rows))
    for weight in model.parameters():
        weight.grad = None
    torch._dynamo.config.suppress_errors = True
