"""What a job will need, told before it starts: memory at the peak of its process, and seconds at most.

Pure arithmetic over the model's shape. The constants were fitted to runs of `python -m tests.bench estimates`; what
they miss on other machines, the app corrects by what finished jobs measured.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from webapp.contract.costs import trained_params
from webapp.contract.methods import KnobValue
from webapp.contract.model_shape import ModelShape
from webapp.contract.split import SplitSizes
from webapp.contract.tasks import Task

Kind = Literal["cpu", "gpu"]

PROCESS_BYTES: dict[Kind, int] = {"cpu": 850_000_000, "gpu": 500_000_000}
"""Python with torch and transformers; on a GPU what CUDA keeps for itself on the card."""
BYTES_A_TRAINED_WEIGHT = 4 + 4 + 8 + 4
"""The weight in fp32, its gradient, AdamW's two moments, and the copy of the best one so far."""
BYTES_A_TRAINED_BASE_WEIGHT = BYTES_A_TRAINED_WEIGHT + 4
"""Where weights of the base are trained, clipping and copying hold another copy of them for a moment."""
BYTES_SAVED_BY_8_BITS = 8 - 2 - 8 / 256
"""Of the moments: each with one scale in 32 bits for 256 numbers. Weights of few numbers keep theirs whole, which is
not counted; nor is what a paged optimizer moves to main memory."""
BYTES_A_4_BIT_WEIGHT = 0.56
"""With its share of the scales. Only the blocks' linear layers are kept so."""
MICRO_BATCH_TOKENS = 4096
"""Tokens in one forward pass at the most, as the engine cuts them; a longer row stands alone."""
GENERAL_TOKENS = 512
"""Of general texts in one pass: each is foretold there, so each needs its logits."""
BYTES_A_LOGIT = 10
"""In 16 bits, again in fp32, and its probability."""
ANSWERS_AT_ONCE, ANSWERS_TOKENS = 64, 16384
"""Rows whose answers are written together at the most, and their tokens, read and written, as the engine cuts them."""
KEPT: dict[str, tuple[float, float]] = {"llama": (7, 4), "gpt2": (22, 6), "bert": (5, 1), "t5": (24, 9)}
"""Family -> numbers kept for the backward pass by a token in a block, in multiples of the hidden and of the
intermediate size, where weights of linear layers are trained beside or in them."""
KEPT_FROZEN: dict[str, tuple[float, float]] = {
    "llama": (3.7, 3),
    "gpt2": (16, 4.5),
    "bert": (3.5, 0.5),
    "t5": (18, 6.7),
}
"""The same where no weight of a linear layer is trained, so that its input need not be kept."""
KEPT_BY_BASE = 5
"""More of the hidden size where the base itself is trained: what flows past the blocks is then in 32 bits."""
FRAGMENTS = 1.2
"""Memory that is taken for what is kept in it."""
ATTENTION_BLOCK = 128
"""Queries that a packed row's attention is computed in; above the diagonal a half of that is kept for nothing."""
LONGEST_KEPT = 1024
"""Packed rows that are longer do not keep their attention."""
PASSING = 12
"""Numbers a token holds while it only passes through, in multiples of hidden and intermediate size together."""
BYTES_A_SCORE: dict[str, float] = {"bert": 4, "t5": 9}
"""Family -> of attention over padded rows, for each head and pair of tokens. What drops out closes PyTorch's fast path;
an encoder's own keeps two numbers in 16 bits."""

FLOPS_A_SECOND: dict[Kind, float] = {"cpu": 1.6e11, "gpu": 2e13}
"""Of products in 16 bits, on a processor by one thread, where nobody has measured how fast it is."""
SECONDS_A_NUMBER: dict[Kind, float] = {"cpu": 2.5e-9, "gpu": 0}
"""Around the products, for each number that a token in a block leaves for the backward pass, by one thread: what goes
through memory. Faster products make nothing of this faster."""
SHARE_ALONE = 0.1
"""Of the arithmetic, as one thread does it: what several do not share (Amdahl 1967)."""
SHARE_IN_32_BITS = 0.5
"""Of that, where a model is computed in 32."""
SECONDS_A_SCORE: dict[Kind, float] = {"cpu": 8e-9, "gpu": 3e-11}
"""Of attention over padded rows, with its backward pass."""
BYTES_READ_A_SECOND: dict[Kind, float] = {"cpu": 4e9, "gpu": 3e11}
SECONDS_A_BLOCK: dict[Kind, float] = {"cpu": 1.0e-3, "gpu": 1.5e-4}
"""What calling a block costs besides arithmetic."""
PASSES_A_STEP = 5
"""What calling the blocks costs a step, in calls of one that is only read with."""
OPTIMIZER_BYTES_A_SECOND: dict[Kind, float] = {"cpu": 2.5e10, "gpu": 3e11}
LOAD_SECONDS = 1.7
"""Once all is imported."""
CHECKPOINT_BYTES = 16
"""Of a trained weight: itself, the best so far, and two moments."""
BYTES_WRITTEN_A_SECOND = 2e8
NUM_GENERAL_TEXTS = 60
GENERAL_TEXT_TOKENS = 60


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


def memory_bytes(work: Work, kind: Kind) -> int:
    """At the peak, on one device."""
    standing = PROCESS_BYTES[kind] + _weights_bytes(work)
    held = standing + max(_training_bytes(work), _measuring_bytes(work), _saving_bytes(work))
    return round(held * (work.num_processes if kind == "cpu" else 1))


def work_seconds(work: Work, hardware: Hardware, *, tokens: float | None = None) -> float:
    """From reading the first file to the last; `tokens` that were trained on, all of them unless told."""
    kind, faster = hardware.kind, hardware.speed_up
    blocks = work.shape.num_blocks * SECONDS_A_BLOCK[kind]
    speed = hardware.flops_of_products * (1.0 if work.steps_in_half else SHARE_IN_32_BITS)
    tokens = work.tokens if tokens is None else tokens
    num_steps = tokens / work.mean / int(work.knobs["batch_size"])
    forward = _forward_flops(work)
    scores = work.shape.num_heads * work.mean * work.shape.num_blocks if _is_masked(work) else 0.0
    flops = forward * _share_computed(work) + _backward_flops(work)
    around = _passing_numbers(work) * work.shape.num_blocks * SECONDS_A_NUMBER[kind] / faster
    a_token = flops / speed + around * _share_trained(work) + scores * SECONDS_A_SCORE[kind] / faster
    num_cards = work.num_processes if kind == "gpu" else 1
    training = tokens * a_token / num_cards + num_steps * PASSES_A_STEP * blocks
    optimizer = num_steps * work.trained * 4 * 7 / OPTIMIZER_BYTES_A_SECOND[kind]
    watching = 0.1 * training
    read_tokens = work.sizes.test * work.mean + NUM_GENERAL_TEXTS * GENERAL_TEXT_TOKENS
    reading = read_tokens * (forward / speed + around / 3) * (1 + _share_again(work)) + 2 * 12 * blocks
    loading = LOAD_SECONDS + work.shape.size_bytes / 5e8
    saving = work.trained * CHECKPOINT_BYTES / BYTES_WRITTEN_A_SECOND
    return loading + saving + training + optimizer + watching + reading + 2 * _answering_seconds(work, hardware)


def _weights_bytes(work: Work) -> float:
    """The base as it stands, and all that comes with what is trained."""
    shape = work.shape
    saved = BYTES_SAVED_BY_8_BITS if work.knobs.get("optimizer", "adamw") != "adamw" else 0.0
    if not work.trains_base:
        quantised = _multiplied(shape) if work.knobs.get("quantised") == "4bit" else 0
        base = quantised * BYTES_A_4_BIT_WEIGHT + (shape.num_params - quantised) * work.num_bytes
        return base + work.trained * (BYTES_A_TRAINED_WEIGHT - saved)
    frozen = max(0, shape.num_params - work.trained)
    return frozen * work.num_bytes + work.trained * (BYTES_A_TRAINED_BASE_WEIGHT - saved)


def _training_bytes(work: Work) -> float:
    """Of one micro-batch, forward and backward."""
    tokens = _tokens_at_once(work.longest, int(work.knobs["batch_size"]))
    blocks = work.shape.num_blocks
    if work.method == "freezing" and work.knobs["also"] == "nothing":
        blocks = min(blocks, int(work.knobs["num_blocks"]))
    kept = tokens * _kept_numbers(work) * blocks
    if work.knobs["gradient_checkpointing"] == "yes":
        # Of one block at a time, with the gradients of as many numbers.
        kept = tokens * (2 * _kept_numbers(work) + blocks * work.shape.hidden_size)
    rows = max(1, tokens // work.longest)
    return kept * FRAGMENTS * work.num_bytes + _logits(work, rows * work.answer_tokens) * 2


def _measuring_bytes(work: Work) -> float:
    """Held-out rows and general texts in one pass without a backward one, or the keys and values of answers."""
    shape = work.shape
    tokens = _tokens_at_once(work.longest, work.sizes.test)
    passing = tokens * PASSING * (shape.hidden_size + shape.intermediate_size) * work.num_bytes
    scores = max(1, tokens // work.longest) * shape.num_heads * work.longest**2 * 4 if _is_masked(work) else 0
    if work.task == "classify":
        return passing + scores
    answers = min(_answers_at_once(work), work.sizes.test) * _answered(work)
    cache = answers * 2 * shape.kv_size * shape.prefix_layers * work.num_bytes
    return max(passing, _logits(work, GENERAL_TOKENS)) + cache


def _saving_bytes(work: Work) -> float:
    """Of a checkpoint's largest file, the optimizer's moments, on its way to the disk."""
    return work.trained * 8.0


def _tokens_at_once(longest: int, num_rows: int) -> int:
    return max(longest, min(MICRO_BATCH_TOKENS, num_rows * longest) // longest * longest)


def _passing_numbers(work: Work) -> float:
    """Of one token through one block, as it leaves them for the backward pass, without attention's."""
    kept = KEPT if work.method in ("lora", "freezing", "full") else KEPT_FROZEN
    of_hidden, of_intermediate = kept[work.shape.family]
    of_hidden += KEPT_BY_BASE if work.trains_base else 0
    return of_hidden * work.shape.hidden_size + of_intermediate * work.shape.intermediate_size


def _kept_numbers(work: Work) -> float:
    """By one token in one block."""
    shape = work.shape
    numbers = _passing_numbers(work)
    if _is_masked(work):
        return numbers + shape.num_heads * work.longest * BYTES_A_SCORE[shape.family] / work.num_bytes
    seen = (work.longest + ATTENTION_BLOCK) / 2 if work.longest <= LONGEST_KEPT else 0
    return numbers + shape.num_heads * seen


def _is_masked(work: Work) -> bool:
    return work.shape.architecture != "decoder"


def _logits(work: Work, num_tokens: int) -> float:
    return 0 if work.task == "classify" else num_tokens * work.shape.vocab_size * BYTES_A_LOGIT


def _multiplied(shape: ModelShape) -> int:
    """Weights that each token is multiplied by: those of the blocks' linear layers."""
    return sum(one.how_many * one.inputs * one.outputs for one in shape.linear_layers().values())


def _forward_flops(work: Work) -> float:
    """A token's."""
    return 2.0 * _multiplied(work.shape) + _attended(work)


def _attended(work: Work) -> float:
    """A token's FLOPs for attention over packed rows; what it takes over padded ones goes by its scores."""
    if _is_masked(work):
        return 0.0
    seen = (work.mean + ATTENTION_BLOCK) / 2
    return 4.0 * work.shape.hidden_size * seen * work.shape.num_blocks


def _backward_flops(work: Work) -> float:
    """A token's: through the frozen weights down to what is trained, the trained weights themselves, and where memory
    is saved the forward pass again."""
    through = (2.0 * _multiplied(work.shape) + 2.0 * _attended(work)) * _share_trained(work)
    again = _forward_flops(work) if work.knobs["gradient_checkpointing"] == "yes" else 0.0
    own = (
        0
        if work.method in ("prompt_tuning", "p_tuning", "prefix_tuning")
        else min(work.trained, _multiplied(work.shape))
    )
    # An adapter's own weights are multiplied forward too; small products reach a fraction of the speed.
    return through + again + (2.0 if work.trains_base else 12.0) * own


def _share_trained(work: Work) -> float:
    """Of the blocks: those that a gradient goes through."""
    if work.method != "freezing" or work.knobs["also"] != "nothing":
        return 1.0
    return min(1.0, int(work.knobs["num_blocks"]) / max(1, work.shape.num_layers))


def _share_computed(work: Work) -> float:
    """Of the epochs' forward passes."""
    num_epochs = int(work.knobs["epochs"])
    return (1 + (num_epochs - 1) * _share_again(work)) / num_epochs


def _share_again(work: Work) -> float:
    """Of a row's forward pass, each time but the first: what a Llama's frozen blocks make of it is remembered."""
    return _share_trained(work) if work.shape.family == "llama" else 1.0


def _answering_seconds(work: Work, hardware: Hardware) -> float:
    """Word by word: all weights are read for each, in batches of rows."""
    if work.task == "classify":
        return 0.0
    batches = -(-work.sizes.test // _answers_at_once(work))
    kind = hardware.kind
    a_word = work.shape.size_bytes / BYTES_READ_A_SECOND[kind] + work.shape.num_blocks * SECONDS_A_BLOCK[kind]
    return batches * (work.answer_tokens + 8) * a_word


def _answers_at_once(work: Work) -> int:
    return max(1, min(ANSWERS_AT_ONCE, ANSWERS_TOKENS // _answered(work)))


def _answered(work: Work) -> int:
    """Tokens of the longest prompt with its answer, at the most."""
    return work.longest + work.answer_tokens + 8
