"""What the processes of one training do together: they add up the gradients of a step whose rows were dealt to them.

The first runs the training as a lone process would; the others give it their part of each step and know no more than
the weights it sends them. So checkpoints, the optimizer and all decisions are the first one's, and nothing depends on
how many there are: the loss is the mean over all labels of the step's rows, whoever computed them. PyTorch's
DistributedDataParallel hooks into one forward call of one module, and weights each process alike; here losses come from
several calls of parts of a model, and a process may have no row at all. So its sum is taken in the open, in buckets.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import IntEnum

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C import _distributed_c10d as c10d

from worker.engine.batches import micro_batches
from worker.engine.forward import Model, mixed_precision, row_losses
from worker.engine.model import Place
from worker.engine.processes import HERE, Seat
from worker.engine.rows import EncodedRows
from worker.engine.step import step_loss

BUCKET_NUMBERS = 25_000_000
"""Gradients sent at a time: few messages, and never a second copy of all there are."""
LONGEST_WAIT = timedelta(days=7)
"""The others wait while the first measures. A death is noticed by `processes.py`, not by this."""


class Say(IntEnum):
    """What the first tells the others, with numbers: STEP its own number, token budget, labels and rows; LEND the
    number of a sharded block; OVER none."""

    STEP = 1
    LEND = 2
    OVER = 3


class ProcessGroup:
    """This process's place among those of the job. Alone, it does everything itself and says nothing."""

    def __init__(self, seat: Seat, *, is_sharded: bool = False) -> None:
        self.rank, self.size, self.is_sharded = seat.rank, seat.size, is_sharded and seat.size > 1
        self.is_in_step = False
        self._threads_alone = torch.get_num_threads()
        if self.size > 1:
            _join(seat)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def loads_at(self, place: Place) -> Place:
        """What is shared out afterwards is loaded into main memory, as it may be larger than a card."""
        return place._replace(device=torch.device("cpu")) if self.is_sharded else place

    def step_loss(self, model: Model, rows: EncodedRows, numbers: Sequence[int], budget: int, *, step: int) -> Tensor:
        """For the first: mean loss over the labels of these rows, its gradient in the weights, whoever took part."""
        if self.size == 1:
            return step_loss(model, [rows[number] for number in numbers], budget)
        num_labels = sum(rows[number].num_labels for number in numbers)
        self.say(Say.STEP, [step, budget, num_labels, *numbers])
        return self.take_part(model, rows, numbers, budget, num_labels)

    def take_part(
        self, model: Model, rows: EncodedRows, numbers: Sequence[int], budget: int, num_labels: int
    ) -> Tensor:
        """For everyone: the own share of a step with the first one's weights. What it adds up to is the first's."""
        trainable = [weight for weight in model.parameters() if weight.requires_grad]
        self._give(trainable)
        shares = deal(numbers, rows.lengths, self.size)
        self.is_in_step = True
        loss = step_loss(model, [rows[number] for number in shares[self.rank]], budget, num_labels=num_labels)
        if self.is_sharded:
            passes = [len(list(micro_batches(share, rows.lengths, budget))) for share in shares]
            for _missing in range(max(passes) - passes[self.rank]):
                _idle_pass(model, rows, numbers[0])
        self.is_in_step = False
        return self._add_up(trainable, loss)

    def say(self, word: Say, numbers: Sequence[int] = ()) -> None:
        """The first speaks to the others, who hear it in order."""
        dist.broadcast(torch.tensor([word, len(numbers)]), 0)
        if numbers:
            dist.broadcast(torch.tensor(numbers), 0)

    def hear(self) -> tuple[Say, list[int]]:
        """One of the others waits for what the first says."""
        head = torch.zeros(2, dtype=torch.long)
        dist.broadcast(head, 0)
        numbers = torch.zeros(int(head[1]), dtype=torch.long)
        if len(numbers):
            dist.broadcast(numbers, 0)
        return Say(int(head[0])), numbers.tolist()

    def end_training(self) -> None:
        """The others are needed on only where they keep a part of the base."""
        if not self.is_sharded:
            self.dismiss()

    def dismiss(self) -> None:
        """The others are no longer needed."""
        if self.size > 1:
            self.say(Say.OVER)
            self.leave()

    def leave(self) -> None:
        dist.destroy_process_group()
        torch.set_num_threads(self._threads_alone)
        self.size = 1

    def _give(self, weights: Iterable[Tensor]) -> None:
        for bucket in _buckets(weights):
            flat = torch.cat([weight.detach().flatten() for weight in bucket])
            dist.broadcast(flat, 0)
            if not self.is_first:
                for weight, values in zip(bucket, _cut(flat, bucket), strict=True):
                    weight.detach().copy_(values)

    def _add_up(self, weights: Sequence[Tensor], loss: Tensor) -> Tensor:
        """The first's gradients and loss become the sums of everyone's. A weight that nobody's rows have touched has
        no gradient, as in a lone process, and is left alone by the optimizer."""
        dist.reduce(loss, 0)
        touched = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.long)
        dist.reduce(touched, 0)  # in main memory, so that no card is waited for
        for bucket in _buckets(weights):
            found = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in bucket]
            flat = torch.cat([gradient.flatten() for gradient in found])
            dist.reduce(flat, 0)
            for weight, gradient in zip(bucket, _cut(flat, bucket), strict=True):
                weight.grad = gradient
        for weight, num_touched in zip(weights, touched.tolist(), strict=True):
            if not (self.is_first and num_touched):
                weight.grad = None
        return loss


ALONE = ProcessGroup(Seat())


def deal(numbers: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """The rows of a step for each process, alike in tokens: the longest first, each to whoever has least. Some may
    get none."""
    shares: list[list[int]] = [[] for _ in range(size)]
    loads = [0] * size
    for number in sorted(numbers, key=lambda number: (-lengths[number], number)):
        rank = loads.index(min(loads))
        shares[rank].append(number)
        loads[rank] += lengths[number]
    return shares


def _join(seat: Seat) -> None:
    """Meet the others; on GPUs each has a card of its own, on a processor its share of the threads."""
    store = None
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", seat.rank)))
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // seat.size))
    if seat.door is not None:
        port = seat.door.getsockname()[1]
        door = c10d.TCPStore(HERE, port, seat.size, is_master=True, master_listen_fd=seat.door.detach())
        store = c10d.PrefixStore("default_pg", door)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=seat.rank, world_size=seat.size, timeout=LONGEST_WAIT)


def _idle_pass(model: Model, rows: EncodedRows, number: int) -> None:
    """Where weights are sharded, all go through the blocks equally often: here once more, for nothing."""
    with mixed_precision(model):
        sums, _counts = row_losses(model, [rows[number]])
        nothing = sums.sum() * 0
    nothing.backward()  # type: ignore[no-untyped-call]


def _buckets(weights: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one kind, together not much larger than a bucket."""
    bucket: list[Tensor] = []
    for weight in weights:
        if bucket and (bucket[0].dtype != weight.dtype or sum(map(torch.numel, bucket)) >= BUCKET_NUMBERS):
            yield bucket
            bucket = []
        bucket.append(weight)
    if bucket:
        yield bucket


def _cut(flat: Tensor, bucket: Sequence[Tensor]) -> list[Tensor]:
    parts = torch.split(flat, [weight.numel() for weight in bucket])
    return [part.view_as(weight) for part, weight in zip(parts, bucket, strict=True)]
