"""A LoRA step on random weights of a Llama's shape: by the engine, by transformers' Trainer with peft, and its bound.

All compute on the same token ids from the same adapter weights, so that the losses of each step can be compared.
"""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback, Trainer, TrainingArguments

from tests.bench.engine.floor import products_seconds
from tests.bench.engine.peer.train import Clock, Collator
from webapp.contract.base_models import STARTERS
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe
from worker.engine.batches import MICRO_BATCH_TOKENS
from worker.engine.encode import Encoded
from worker.engine.fit import LARGEST_GRADIENT_NORM
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, prepare_base
from worker.engine.optimizer import optimizer_of
from worker.engine.step import step_loss
from worker.engine.training import peak_memory_bytes

ROWS_A_STEP, NUM_STEPS, WARM_UP_STEPS = 8, 8, 3
ANSWER_TOKENS = 8
RANK, ALPHA, RATE = 16, 32, 2e-4
LARGEST_LOSS_DIFFERENCE = 0.02
"""Of a step's loss, as a share: bf16 keeps 8 bits of each number."""


class Shape(NamedTuple):
    """Of a Llama. `longest_row`: of the rows it is trained on, in tokens; the shortest has a tenth."""

    hidden: int
    wide: int
    num_blocks: int
    heads: int
    key_heads: int
    vocabulary: int
    is_tied: bool
    longest_row: int = 700

    @property
    def layers(self) -> list[tuple[int, int]]:
        """q, k, v, o, gate, up, down of a block: how wide what goes in, and what comes out."""
        hidden, wide, keys = self.hidden, self.wide, self.hidden // self.heads * self.key_heads
        return [
            (hidden, hidden), (hidden, keys), (hidden, keys), (hidden, hidden), (hidden, wide), (hidden, wide),
            (wide, hidden),
        ]  # fmt: skip

    @property
    def num_weights(self) -> int:
        tables = self.vocabulary * self.hidden * (1 if self.is_tied else 2)
        return tables + self.num_blocks * sum(into * out for into, out in self.layers)


SHAPES = {
    "135M": Shape(576, 1536, 30, 9, 3, 49_152, is_tied=True),
    "1B": Shape(2048, 8192, 16, 32, 8, 128_256, is_tied=True),
    "8B": Shape(4096, 14_336, 32, 32, 8, 128_256, is_tied=False),
}
TINY_SHAPES = {
    "135M": Shape(36, 96, 2, 9, 3, 96, is_tied=True, longest_row=60),
    "1B": Shape(64, 256, 2, 8, 2, 128, is_tied=True, longest_row=60),
    "8B": Shape(128, 448, 3, 8, 2, 128, is_tied=False, longest_row=60),
}
"""For `--cpu`: of the same proportions."""


class Steps(NamedTuple):
    """What a side did."""

    losses: list[float]
    tokens_per_second: float
    step_seconds: float
    peak_memory_bytes: int


def check_shape(folder: Path, shape: Shape, device: torch.device) -> dict[str, Any]:
    """Raises AssertionError where the two sides' losses differ by more than bf16 explains."""
    release(device)  # of what an earlier section left
    rows = rows_of(shape)
    ours, start = our_steps(shape, rows, device)
    release(device)
    theirs = peer_steps(folder, shape, rows, start, device)
    release(device)
    tokens = sum(len(row.ids) for row in rows[WARM_UP_STEPS * ROWS_A_STEP :]) // (NUM_STEPS - WARM_UP_STEPS)
    bound = products_seconds(tokens, shape.layers, shape.num_blocks, device.type, times=4)
    release(device)
    differences = [abs(one - two) / two for one, two in zip(ours.losses, theirs.losses, strict=True)]
    figures = {
        "num_weights": shape.num_weights,
        "tokens_per_step": tokens,
        "ours": ours._asdict(),
        "trainer_and_peft": theirs._asdict(),
        "times_as_fast_as_trainer": ours.tokens_per_second / theirs.tokens_per_second,
        "frozen_products_seconds": bound,
        "step_over_frozen_products": ours.step_seconds / bound,
        "largest_loss_difference": max(differences),
    }
    assert max(differences) <= LARGEST_LOSS_DIFFERENCE, figures
    return figures


def rows_of(shape: Shape) -> list[Encoded]:
    """Token ids at random, most of them prompt, between a tenth of the longest row and all of it."""
    dice = torch.Generator().manual_seed(7)
    rows = []
    for _ in range(ROWS_A_STEP * NUM_STEPS):
        shortest = max(ANSWER_TOKENS + 2, shape.longest_row // 10)
        length = int(torch.randint(shortest, shape.longest_row + 1, (), generator=dice))
        ids = torch.randint(shape.vocabulary, (length,), generator=dice).tolist()
        prompt = length - ANSWER_TOKENS
        rows.append(Encoded(ids, [False] * prompt + [True] * ANSWER_TOKENS, ids[:prompt]))
    return rows


def base_of(shape: Shape, device: torch.device) -> LlamaForCausalLM:
    """The same weights each time; they are made on the device, where 8 billion take seconds."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.wide,
        num_hidden_layers=shape.num_blocks, num_attention_heads=shape.heads, num_key_value_heads=shape.key_heads,
        tie_word_embeddings=shape.is_tied, max_position_embeddings=2048, dtype="bfloat16", bos_token_id=None,
        eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)


def our_steps(shape: Shape, rows: list[Encoded], device: torch.device) -> tuple[Steps, dict[str, Tensor]]:
    """Also the adapter's weights before the first step."""
    place = Place(device, torch.bfloat16, torch.bfloat16)
    auto = auto_knobs("lora", "generate", next(iter(STARTERS.values())).shape, len(rows))
    knobs = {**auto, "rank": RANK, "alpha": ALPHA, "dropout": 0.0, "learning_rate": RATE, "weight_decay": 0.0}
    recipe = Recipe(
        task="generate", base_model="random", method="lora", knobs={**knobs, "targets": "all-linear"}, seed=17
    )
    model = ENGINE_METHODS["lora"].build(prepare_base(base_of(shape, device), place), recipe, Path())
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    start = {name: weight.detach().cpu().clone() for name, weight in trained.items()}
    weights = list(trained.values())
    optimizer = optimizer_of(recipe, weights)
    losses, wait = [], waiting_for(device)
    reset_peak(device)
    for number in range(NUM_STEPS):
        if number == WARM_UP_STEPS:
            wait()
            began = time.perf_counter()
        losses.append(step_loss(model, rows[number * ROWS_A_STEP :][:ROWS_A_STEP], MICRO_BATCH_TOKENS))
        nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
    wait()
    seconds = time.perf_counter() - began
    return steps_of([float(loss) for loss in losses], seconds, rows), start


class SteadyClock(Clock):
    """Waits for the device where the steady steps begin and end."""

    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__()
        self.wait, self.began_steady, self.ended = wait, 0.0, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_step_end(args, state, control, **kwargs)
        if state.global_step == WARM_UP_STEPS:
            self.wait()
            self.began_steady = time.perf_counter()
        if state.global_step == NUM_STEPS:
            self.wait()
            self.ended = time.perf_counter()


def peer_steps(
    folder: Path, shape: Shape, rows: list[Encoded], start: dict[str, Tensor], device: torch.device
) -> Steps:
    config = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
    model = get_peft_model(base_of(shape, device), config)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained.keys() == start.keys(), "the two sides train different weights"
    with torch.no_grad():
        for name, weight in trained.items():
            weight.copy_(start[name])
    optimizer = torch.optim.AdamW(trained.values(), lr=RATE, weight_decay=0.0, fused=True)
    clock = SteadyClock(waiting_for(device))
    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(folder / "trainer"), per_device_train_batch_size=ROWS_A_STEP, max_steps=NUM_STEPS, bf16=True,
            train_sampling_strategy="sequential", logging_steps=1, disable_tqdm=True, save_strategy="no",
            report_to="none", max_grad_norm=LARGEST_GRADIENT_NORM, use_cpu=device.type == "cpu",
        ),
        data_collator=Collator(),
        train_dataset=[{"input_ids": row.ids, "labels": labels_of(row)} for row in rows],  # type: ignore[arg-type]
        optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)),
        callbacks=[clock],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)  # standard output is for the results
    reset_peak(device)
    trainer.train()
    return steps_of(clock.losses, clock.ended - clock.began_steady, rows)


def labels_of(row: Encoded) -> list[int]:
    return [token if is_trained else -100 for token, is_trained in zip(row.ids, row.trained, strict=True)]


def steps_of(losses: list[float], seconds: float, rows: list[Encoded]) -> Steps:
    tokens = sum(len(row.ids) for row in rows[WARM_UP_STEPS * ROWS_A_STEP :])
    return Steps(losses, tokens / seconds, seconds / (NUM_STEPS - WARM_UP_STEPS), peak_memory_bytes())


def matmul_flops_a_second(device: torch.device) -> float:
    """Of one large product in bf16, the best of ten."""
    width = 8192 if device.type == "cuda" else 512
    one, two = (torch.randn(width, width, device=device).bfloat16() for _ in range(2))
    wait, best = waiting_for(device), float("inf")
    for _ in range(10):
        wait()
        began = time.perf_counter()
        torch.mm(one, two)
        wait()
        best = min(best, time.perf_counter() - began)
    return float(2 * width**3 / best)


def waiting_for(device: torch.device) -> Callable[[], None]:
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def reset_peak(device: torch.device) -> None:
    """A processor has no such counter: there the peak is the process's, from its start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
