"""A job in numbers, and what it computes on: what estimates of its memory and its time start from."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from webapp.contract.costs import trained_params
from webapp.contract.methods import KnobValue
from webapp.contract.model_shape import ModelShape
from webapp.contract.split import SplitSizes
from webapp.contract.tasks import Task

Kind = Literal["cpu", "gpu"]

ANSWERS_AT_ONCE, ANSWERS_TOKENS = 64, 16384
"""Rows whose answers are written together at the most, and their tokens, read and written, as the engine cuts them."""
FLOPS_A_SECOND: dict[Kind, float] = {"cpu": 1.6e11, "gpu": 2e13}
"""Of products in 16 bits, on a processor by one thread, where nobody has measured how fast it is."""
SHARE_ALONE = 0.1
"""Of the arithmetic, as one thread does it: what several do not share (Amdahl 1967)."""


class Hardware(NamedTuple):
    """What one job computes on: a GPU, or so many threads of a processor, and what its products were measured to
    reach on these; 0: not measured."""

    kind: Kind
    threads: int = 1
    flops_a_second: float = 0.0

    @property
    def speed_up(self) -> float:
        """Against one thread."""
        return 1 / (SHARE_ALONE + (1 - SHARE_ALONE) / self.threads)

    @property
    def flops_of_products(self) -> float:
        """In 16 bits, a second."""
        return self.flops_a_second or self.speed_up * FLOPS_A_SECOND[self.kind]


class Work(BaseModel):
    """A job in numbers. `longest_tokens` is that of the longest row, before it is cut."""

    model_config = ConfigDict(frozen=True)

    task: Task
    method: str
    knobs: Mapping[str, KnobValue]
    shape: ModelShape
    num_labels: int = 0
    sizes: SplitSizes
    mean_tokens: float = Field(gt=0)
    longest_tokens: int = Field(gt=0)
    answer_tokens: int = Field(default=1, gt=0)
    num_processes: int = Field(default=1, gt=0)
    """On GPUs each has a card; on a processor they share it, and each holds all."""

    @property
    def longest(self) -> int:
        """As the model reads it: cut, and with virtual tokens before."""
        return min(self.longest_tokens, int(self.knobs["max_length"])) + self.num_virtual

    @property
    def mean(self) -> float:
        return min(self.mean_tokens, int(self.knobs["max_length"])) + self.num_virtual

    @property
    def num_virtual(self) -> int:
        return int(self.knobs.get("num_virtual_tokens", 0))

    @property
    def trained(self) -> int:
        head = self.shape.head_params(self.num_labels) if self.task == "classify" else 0
        return trained_params(self.method, self.knobs, self.shape) + head

    @property
    def trains_base(self) -> bool:
        return self.method in ("full", "freezing")

    @property
    def tokens(self) -> float:
        """Of all epochs, if none is saved by ending early."""
        return self.sizes.train * self.mean * int(self.knobs["epochs"])

    @property
    def is_half(self) -> bool:
        """Whether the base computes in 16 bits, on hardware that does so fast: the engine's rule for a model that
        writes and is kept in 16 bits."""
        return self.task == "generate" and self.shape.size_bytes < 3 * self.shape.num_params

    @property
    def steps_in_half(self) -> bool:
        """Whether steps multiply in 16 bits; a classifier's do, though it is kept in 32."""
        return self.is_half or self.task == "classify"

    @property
    def num_bytes(self) -> int:
        """Of one number of the base."""
        return 2 if self.is_half else 4

    @property
    def is_masked(self) -> bool:
        """Whether rows stand side by side, filled up to the longest, and not end to end."""
        return self.shape.architecture != "decoder"

    @property
    def answered_tokens(self) -> int:
        """Of the longest prompt with its answer, at the most."""
        return self.longest + self.answer_tokens + 8

    @property
    def answers_at_once(self) -> int:
        return max(1, min(ANSWERS_AT_ONCE, ANSWERS_TOKENS // self.answered_tokens))
