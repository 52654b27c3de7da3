"""Training itself: the loop, from the first step to the best weights."""

import math
import resource
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from webapp.contract.events import Evaluated, Event, Stepped
from webapp.contract.recipe import Recipe
from worker.engine.batches import epoch_steps, micro_batches
from worker.engine.encode import Encoded
from worker.engine.errors import Stop, TrainingError
from worker.engine.forward import Model, mixed_precision, row_losses
from worker.engine.measure import mean_loss
from worker.engine.rows import EncodedRows
from worker.engine.schedule import step_multiplier

Weights = dict[str, Tensor]

LARGEST_GRADIENT_NORM = 1.0
ROWS_A_WATCHED_ROW = 3.3
"""Rows trained for each validation row measured: a forward pass costs a third, so watching stays under a tenth."""


class Fitted(NamedTuple):
    best: Weights
    steps: int
    seconds: float
    tokens: int
    tokens_per_second: float


def fit(
    model: Model,
    rows: EncodedRows,
    validation: EncodedRows,
    recipe: Recipe,
    *,
    seconds_after: float,
    should_stop: Callable[[], bool],
    report: Callable[[Event], None],
) -> Fitted:
    """Train; returns the trainable weights with the lowest validation loss. `seconds_after`: expected after training.

    Raises TrainingError when the loss is not finite, Stop when asked to.
    """
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    lr, epochs, batch_size = recipe.number("learning_rate"), recipe.whole("epochs"), recipe.whole("batch_size")
    schedule, warmup = str(recipe.knobs["schedule"]), recipe.number("warmup_ratio")
    is_cuda = next(iter(trainable.values())).is_cuda
    optimizer = torch.optim.AdamW(trainable.values(), lr=lr, weight_decay=recipe.number("weight_decay"), fused=is_cuda)
    steps_an_epoch = math.ceil(len(rows) / batch_size)
    total_steps = steps_an_epoch * epochs
    watch_every = max(math.ceil(steps_an_epoch / 2), math.ceil(ROWS_A_WATCHED_ROW * len(validation) / batch_size))

    best_loss = _finite(mean_loss(model, validation), 0, lr)
    best = copy_of(trainable)
    report(Evaluated(step=0, epoch=0, loss=best_loss))
    began = time.monotonic()
    step = tokens = 0
    for epoch in range(epochs):
        for numbers in epoch_steps(rows.lengths, batch_size, seed=recipe.seed, epoch=epoch):
            # ---------------------------------------------------------------- one optimizer step
            for group in optimizer.param_groups:
                group["lr"] = lr * step_multiplier(step + 1, total_steps, schedule=schedule, warmup_ratio=warmup)
            step += 1
            loss = _finite(step_loss(model, [rows[number] for number in numbers]), step, lr)
            norm = torch.nn.utils.clip_grad_norm_(trainable.values(), LARGEST_GRADIENT_NORM)
            _finite(norm.item(), step, lr)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            # ---------------------------------------------------------------- tell
            tokens += sum(rows.lengths[number] for number in numbers)
            seconds = time.monotonic() - began
            report(
                Stepped(
                    step=step,
                    total_steps=total_steps,
                    epoch=step / steps_an_epoch,
                    loss=loss,
                    learning_rate=optimizer.param_groups[0]["lr"],
                    tokens=tokens,
                    tokens_per_second=tokens / seconds,
                    seconds_left=seconds / step * (total_steps - step) + seconds_after,
                    peak_memory_bytes=peak_memory_bytes(),
                )
            )
            # ---------------------------------------------------------------- once in a while: watch
            if step % watch_every == 0 or step == total_steps:
                held_out = _finite(mean_loss(model, validation), step, lr)
                if held_out < best_loss:
                    best_loss, best = held_out, copy_of(trainable)
                report(Evaluated(step=step, epoch=step / steps_an_epoch, loss=held_out, is_best=held_out == best_loss))
            if should_stop():
                raise Stop(step)
    seconds = time.monotonic() - began
    return Fitted(best, total_steps, seconds, tokens, tokens / seconds)


def step_loss(model: Model, rows: Sequence[Encoded]) -> float:
    """Mean loss over all labels of the step's rows, its gradient added up over micro-batches that fit in memory."""
    model.train()
    num_labels = sum(sum(row.trained) if row.label < 0 else 1 for row in rows)
    total = 0.0
    for piece in micro_batches(range(len(rows)), [len(row.ids) for row in rows]):
        with mixed_precision(model):
            sums, _counts = row_losses(model, [rows[index] for index in piece])
            loss = sums.sum() / num_labels
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def copy_of(weights: Weights) -> Weights:
    return {name: weight.detach().clone() for name, weight in weights.items()}


def restore(model: Model, weights: Weights) -> None:
    """Put weights back that `copy_of` took."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in weights:
                weight.copy_(weights[name])


def peak_memory_bytes() -> int:
    """The most this process ever held: on the GPU if there is one, else in main memory (Linux counts kilobytes)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _finite(value: float, step: int, lr: float) -> float:
    """A loss or a gradient's size, handed through. Raises TrainingError if it is not a number."""
    if math.isfinite(value):
        return value
    if step == 0:
        message = (
            "The base model's loss on your rows is not a number, before any training. Its weights are damaged or "
            "overflow; choose another base model, or fetch this one anew."
        )
        raise TrainingError("base_model", message, evidence=f"loss {value}")
    message = (
        f"The loss was no longer a number at step {step}, so training stopped before it could spoil the weights. "
        f"Lower the learning rate (now {lr:g}), to a tenth for a start."
    )
    raise TrainingError("loss_not_finite", message, evidence=f"step {step}: loss or gradient {value}")
