"""How a model does on rows: what it answers, and its loss on each."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worker.engine.batches import MOST_PADDING, micro_batches, token_budget
from worker.engine.encode import Encoded, Tokenizer
from worker.engine.forward import Model, class_logits, is_padded, row_losses
from worker.engine.generate import Heed, answers


class Measured(NamedTuple):
    """Of each row: the answer, the loss summed over its labels, and how many labels those are."""

    answers: list[str]
    losses: NDArray[np.float64]
    num_labels: NDArray[np.int64]


@torch.no_grad()
def losses_of(
    model: Model, rows: Sequence[Encoded], *, divisor: int = 1, heed: Heed = lambda: None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Summed loss and number of labels of each row, in order. The model is left in evaluation mode."""
    model.eval()
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for piece in pieces(model, rows, divisor):
        heed()
        loss, count = row_losses(model, [rows[index] for index in piece])
        sums[piece], counts[piece] = loss.cpu().numpy(), count.cpu().numpy()
    return sums, counts


def mean_loss(model: Model, rows: Sequence[Encoded], *, divisor: int = 1) -> float:
    """Mean over all labels of all rows: per token for generate, per row for classify."""
    sums, counts = losses_of(model, rows, divisor=divisor)
    return float(sums.sum() / counts.sum())


def measure(
    model: Model,
    tokenizer: Tokenizer,
    rows: Sequence[Encoded],
    *,
    labels: list[str],
    max_new_tokens: int,
    divisor: int,
    heed: Heed,
    progress: Callable[[int], None],
) -> Measured:
    """Answers and losses on the rows; `progress` is told how many rows are done, `heed` asked all the time."""
    if labels:
        scores = label_log_probabilities(model, rows, divisor=divisor, heed=heed)
        losses = -scores[np.arange(len(rows)), [row.label for row in rows]]
        texts = [labels[number] for number in scores.argmax(axis=1)]
        measured = Measured(texts, losses, np.ones(len(rows), dtype=np.int64))
    else:
        sums, counts = losses_of(model, rows, divisor=divisor, heed=heed)
        prompts = [row.prompt for row in rows]
        texts = answers(
            model, tokenizer, prompts, max_new_tokens=max_new_tokens, divisor=divisor, heed=heed, progress=progress
        )
        measured = Measured(texts, sums, counts)
    progress(len(rows))
    return measured


@torch.no_grad()
def label_log_probabilities(
    model: Model, rows: Sequence[Encoded], *, divisor: int = 1, heed: Heed = lambda: None
) -> NDArray[np.float64]:
    """Logarithms of the probabilities (rows, labels) that the model gives each label, in order of rows."""
    model.eval()
    found: dict[int, NDArray[np.float64]] = {}
    for piece in pieces(model, rows, divisor):
        heed()
        scores = class_logits(model, [rows[index] for index in piece]).double().log_softmax(dim=-1).cpu().numpy()
        found.update(zip(piece, scores, strict=True))
    return np.stack([found[index] for index in range(len(rows))])


def pieces(model: Model, rows: Sequence[Encoded], divisor: int) -> Iterator[list[int]]:
    """Numbers of rows that go through the model together."""
    lengths = [row.length for row in rows]
    budget = token_budget(lengths, len(rows), divisor=divisor)
    most_padding = MOST_PADDING if is_padded(model) else math.inf
    return micro_batches(range(len(rows)), lengths, budget, most_padding=most_padding)
