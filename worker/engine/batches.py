"""Which rows go together. Rows of like length share a batch, so that little of it is padding."""

import math
import random
from collections.abc import Iterator, Sequence

MICRO_BATCH_TOKENS = 4096
"""Padded tokens in one forward pass at the most; what a step holds beyond it is taken in several."""

MOST_PADDING = 128
"""Tokens of padding that cost a small encoder about as much as a pass of its own: MiniLM reads 200 rows of up to 40
tokens in three quarters of the time that two pieces take (2 cores)."""

WINDOW_STEPS = 16
"""Rows are sorted by length within this many steps' worth of shuffled rows: little padding, still mixed."""


def epoch_steps(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """The rows of each optimizer step of an epoch, every row once. The same seed and epoch give the same steps."""
    order = list(range(len(lengths)))
    dice = random.Random(f"{seed} {epoch}")
    dice.shuffle(order)
    steps = []
    window = batch_size * WINDOW_STEPS
    for begin in range(0, len(order), window):
        rows = sorted(order[begin : begin + window], key=lambda row: lengths[row])
        steps += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    dice.shuffle(steps)
    return steps


def token_budget(lengths: Sequence[int], batch_size: int, *, divisor: int = 1) -> int:
    """Padded tokens for one forward pass. Counted from the largest batch there can be, so that a divisor of 2 halves
    also what was small already."""
    return max(1, min(MICRO_BATCH_TOKENS, batch_size * max(lengths)) // divisor)


def micro_batches(
    rows: Sequence[int], lengths: Sequence[int], budget: int, *, most_padding: float = math.inf
) -> Iterator[list[int]]:
    """Cut rows into pieces whose padded size stays within the budget, and what is padding in it below `most_padding`
    tokens; a longer row stands alone."""
    piece: list[int] = []
    tokens = 0
    for row in sorted(rows, key=lambda row: lengths[row]):
        padded = (len(piece) + 1) * lengths[row]
        if piece and (padded > budget or padded - tokens - lengths[row] > most_padding):
            yield piece
            piece, tokens = [], 0
        piece.append(row)
        tokens += lengths[row]
    if piece:
        yield piece


def even_batches(rows: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Cut rows, in order, into as few batches of at most so many as can be, about as many in each: to write answers, a
    batch of a few takes nearly as long as a full one."""
    num_batches = math.ceil(len(rows) / most)
    for number in range(num_batches):
        yield rows[number * len(rows) // num_batches : (number + 1) * len(rows) // num_batches]
