"""One optimizer step's loss and gradient, taken in micro-batches that fit in memory.

Nothing in here is read by the processor: a card is never waited for (a test holds that).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.engine.batches import micro_batches
from worker.engine.encode import Encoded
from worker.engine.forward import Model, mixed_precision, row_losses, unwrapped


def step_loss(model: Model, rows: Sequence[Encoded], budget: int, *, num_labels: int = 0) -> Tensor:
    """Mean loss (one number, in 64 bits, where the model is) over all labels of the step's rows, its gradient added up
    over micro-batches that fit in memory. `num_labels`: those of the whole step, where other processes have the rest of
    its rows."""
    if not unwrapped(model).training:  # telling every module of a model takes a millisecond or two
        model.train()
    num_labels = num_labels or sum(row.num_labels for row in rows)
    device = unwrapped(model).get_input_embeddings().weight.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    for piece in micro_batches(range(len(rows)), [row.length for row in rows], budget):
        with mixed_precision(model):
            sums, _counts = row_losses(model, [rows[index] for index in piece])
            loss = sums.sum() / num_labels
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total
