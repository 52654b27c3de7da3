"""The seconds a job will take at most, told before it starts; fitted and corrected as in `memory_estimate.py`."""

from webapp.contract.memory_estimate import ATTENTION_BLOCK, passing_numbers
from webapp.contract.work import Hardware, Kind, Work

SECONDS_A_NUMBER: dict[Kind, float] = {"cpu": 2.5e-9, "gpu": 0}
"""Around the products, for each number that a token in a block leaves for the backward pass, by one thread: what goes
through memory. Faster products make nothing of this faster."""
SHARE_IN_32_BITS = 0.5
"""Of the speed of products, where a model is computed in 32."""
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


def work_seconds(work: Work, hardware: Hardware, *, tokens: float | None = None) -> float:
    """From reading the first file to the last; `tokens` that were trained on, all of them unless told."""
    kind, faster = hardware.kind, hardware.speed_up
    blocks = work.shape.num_blocks * SECONDS_A_BLOCK[kind]
    speed = hardware.flops_of_products * (1.0 if work.steps_in_half else SHARE_IN_32_BITS)
    tokens = work.tokens if tokens is None else tokens
    num_steps = tokens / work.mean / int(work.knobs["batch_size"])
    forward = _forward_flops(work)
    scores = work.shape.num_heads * work.mean * work.shape.num_blocks if work.is_masked else 0.0
    flops = forward * _share_computed(work) + _backward_flops(work)
    around = passing_numbers(work) * work.shape.num_blocks * SECONDS_A_NUMBER[kind] / faster
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


def _forward_flops(work: Work) -> float:
    """A token's."""
    return 2.0 * work.shape.linear_params + _attended(work)


def _attended(work: Work) -> float:
    """A token's FLOPs for attention over packed rows; what it takes over padded ones goes by its scores."""
    if work.is_masked:
        return 0.0
    seen = (work.mean + ATTENTION_BLOCK) / 2
    return 4.0 * work.shape.hidden_size * seen * work.shape.num_blocks


def _backward_flops(work: Work) -> float:
    """A token's: through the frozen weights down to what is trained, the trained weights themselves, and where memory
    is saved the forward pass again."""
    through = (2.0 * work.shape.linear_params + 2.0 * _attended(work)) * _share_trained(work)
    again = _forward_flops(work) if work.knobs["gradient_checkpointing"] == "yes" else 0.0
    own = (
        0
        if work.method in ("prompt_tuning", "p_tuning", "prefix_tuning")
        else min(work.trained, work.shape.linear_params)
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
    batches = -(-work.sizes.test // work.answers_at_once)
    kind = hardware.kind
    a_word = work.shape.size_bytes / BYTES_READ_A_SECOND[kind] + work.shape.num_blocks * SECONDS_A_BLOCK[kind]
    return batches * (work.answer_tokens + 8) * a_word
