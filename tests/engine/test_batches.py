"""Every row once an epoch, rows of like length together, nothing over the token budget."""

import random

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.batches import MICRO_BATCH_TOKENS, epoch_steps, even_batches, micro_batches, token_budget


@given(st.lists(st.integers(1, 500), min_size=1, max_size=300), st.integers(1, 40), st.integers(0, 3))
def test_an_epoch_is_every_row_once_in_as_few_steps_as_can_be(lengths: list[int], batch_size: int, epoch: int) -> None:
    steps = epoch_steps(lengths, batch_size, seed=17, epoch=epoch)
    assert sorted(row for step in steps for row in step) == list(range(len(lengths)))
    assert len(steps) == -(-len(lengths) // batch_size)
    assert max(map(len, steps)) <= batch_size


def test_seed_and_epoch_alone_decide_the_order() -> None:
    lengths = [random.Random(1).randint(1, 90) for _ in range(100)]
    first = epoch_steps(lengths, 8, seed=17, epoch=0)
    assert epoch_steps(lengths, 8, seed=17, epoch=0) == first
    assert epoch_steps(lengths, 8, seed=17, epoch=1) != first
    assert epoch_steps(lengths, 8, seed=18, epoch=0) != first


def test_little_of_a_batch_is_padding() -> None:
    dice = random.Random(1)
    lengths = [int(dice.lognormvariate(4, 0.8)) + 1 for _ in range(2_000)]
    steps = epoch_steps(lengths, 8, seed=17, epoch=0)
    padded = sum(len(step) * max(lengths[row] for row in step) for step in steps)
    assert sum(lengths) / padded > 0.75
    mixed = sum(len(lengths[at : at + 8]) * max(lengths[at : at + 8]) for at in range(0, 2_000, 8))
    assert padded < 0.6 * mixed


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=60), st.integers(1, 5_000))
def test_micro_batches_stay_within_the_budget(lengths: list[int], budget: int) -> None:
    pieces = list(micro_batches(range(len(lengths)), lengths, budget))
    assert sorted(row for piece in pieces for row in piece) == list(range(len(lengths)))
    for piece in pieces:
        assert len(piece) == 1 or len(piece) * max(lengths[row] for row in piece) <= budget


def test_a_divisor_halves_large_and_small_budgets_alike() -> None:
    for lengths in ([500, 4_000], [10, 20]):
        whole = token_budget(lengths, 8)
        assert whole == min(MICRO_BATCH_TOKENS, 8 * lengths[-1])
        assert token_budget(lengths, 8, divisor=2) == whole // 2
    assert token_budget([1], 1, divisor=4) == 1


@given(st.integers(0, 300), st.integers(1, 64))
def test_even_batches_are_few_and_of_about_one_size(num_rows: int, most: int) -> None:
    cut = list(even_batches(range(num_rows), most))
    assert [row for batch in cut for row in batch] == list(range(num_rows))
    assert len(cut) == -(-num_rows // most)
    sizes = {len(batch) for batch in cut}
    assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)
