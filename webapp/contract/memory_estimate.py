"""The memory a job will need at its peak, told before it starts.

Pure arithmetic over the model's shape. The constants were fitted to runs of `python -m tests.bench estimates`; what
they miss on other machines, the app corrects by what finished jobs measured.
"""

from webapp.contract.work import Kind, Work

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


def memory_bytes(work: Work, kind: Kind) -> int:
    """At the peak, on one device."""
    standing = PROCESS_BYTES[kind] + _weights_bytes(work)
    held = standing + max(_training_bytes(work), _measuring_bytes(work), _saving_bytes(work))
    return round(held * (work.num_processes if kind == "cpu" else 1))


def _weights_bytes(work: Work) -> float:
    """The base as it stands, and all that comes with what is trained."""
    shape = work.shape
    saved = BYTES_SAVED_BY_8_BITS if work.knobs.get("optimizer", "adamw") != "adamw" else 0.0
    if not work.trains_base:
        quantised = shape.linear_params if work.knobs.get("quantised") == "4bit" else 0
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
    scores = max(1, tokens // work.longest) * shape.num_heads * work.longest**2 * 4 if work.is_masked else 0
    if work.task == "classify":
        return passing + scores
    answers = min(work.answers_at_once, work.sizes.test) * work.answered_tokens
    cache = answers * 2 * shape.kv_size * shape.prefix_layers * work.num_bytes
    return max(passing, _logits(work, GENERAL_TOKENS)) + cache


def _saving_bytes(work: Work) -> float:
    """Of a checkpoint's largest file, the optimizer's moments, on its way to the disk."""
    return work.trained * 8.0


def _tokens_at_once(longest: int, num_rows: int) -> int:
    return max(longest, min(MICRO_BATCH_TOKENS, num_rows * longest) // longest * longest)


def passing_numbers(work: Work) -> float:
    """Of one token through one block, as it leaves them for the backward pass, without attention's."""
    kept = KEPT if work.method in ("lora", "freezing", "full") else KEPT_FROZEN
    of_hidden, of_intermediate = kept[work.shape.family]
    of_hidden += KEPT_BY_BASE if work.trains_base else 0
    return of_hidden * work.shape.hidden_size + of_intermediate * work.shape.intermediate_size


def _kept_numbers(work: Work) -> float:
    """By one token in one block."""
    shape = work.shape
    numbers = passing_numbers(work)
    if work.is_masked:
        return numbers + shape.num_heads * work.longest * BYTES_A_SCORE[shape.family] / work.num_bytes
    seen = (work.longest + ATTENTION_BLOCK) / 2 if work.longest <= LONGEST_KEPT else 0
    return numbers + shape.num_heads * seen


def _logits(work: Work, num_tokens: int) -> float:
    return 0 if work.task == "classify" else num_tokens * work.shape.vocab_size * BYTES_A_LOGIT
