"""Fine-tuning with transformers' Trainer and peft, as a person writes it from their docs. Knows nothing of ours.

python train.py SPEC.json    reads token ids with labels, writes its figures and the adapter where SPEC says
"""

import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

METHODS = {
    "lora": lambda spec: LoraConfig(
        task_type="CAUSAL_LM", r=spec["rank"], lora_alpha=spec["alpha"], target_modules="all-linear"
    ),
    "prompt_tuning": lambda spec: PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=spec["num_virtual_tokens"], tokenizer_name_or_path=spec["base_model"],
        prompt_tuning_init="TEXT", prompt_tuning_init_text="Answer the request below, briefly and exactly.",
    ),
    "prefix_tuning": lambda spec: PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=spec["num_virtual_tokens"]
    ),
    "ia3": lambda spec: IA3Config(task_type="CAUSAL_LM"),
}  # fmt: skip


class Collator:
    """Pads on the right; counts the real tokens of each batch, which are made in the order they are trained on."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        self.tokens.append(sum(len(one) for one in ids))
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=0),
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
        }


class Clock(TrainerCallback):
    """When each step ended, and its loss."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ends.append(time.time())

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def main(spec: dict[str, Any]) -> None:
    torch.manual_seed(spec["seed"])
    dtype = torch.bfloat16 if spec["precision"] == "bf16 weights" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(spec["base_model"], dtype=dtype, attn_implementation=spec["attention"])
    model = get_peft_model(model, METHODS[spec["method"]](spec))
    rows = [json.loads(line) for line in Path(spec["rows"]).read_text().splitlines()]
    optimizer = torch.optim.AdamW(
        (one for one in model.parameters() if one.requires_grad), lr=spec["learning_rate"], weight_decay=0.0, fused=True
    )
    num_steps = spec["max_steps"] if spec["max_steps"] > 0 else math.ceil(len(rows) / spec["batch_size"])
    schedule = LambdaLR(optimizer, lambda step: multiplier((step + 0.5) / num_steps, spec["warmup_ratio"]))
    collator, clock = Collator(), Clock()
    trainer = Trainer(
        model,
        arguments(spec),
        data_collator=collator,
        train_dataset=rows,
        optimizers=(optimizer, schedule),
        callbacks=[clock],
    )
    trainer.train()
    model.save_pretrained(spec["folder"] + "/adapter")
    write_figures(spec, clock, collator)


def arguments(spec: dict[str, Any]) -> TrainingArguments:
    return TrainingArguments(
        output_dir=spec["folder"] + "/trainer",
        per_device_train_batch_size=spec["batch_size"],
        max_steps=spec["max_steps"],
        num_train_epochs=1,
        bf16=spec["precision"] == "bf16 autocast",
        train_sampling_strategy="group_by_length" if spec["groups_by_length"] else "random",
        logging_steps=1,
        disable_tqdm=True,
        save_strategy="no",
        report_to="none",
        seed=spec["seed"],
        use_cpu=True,
    )


def multiplier(progress: float, warmup_ratio: float) -> float:
    """Up, then down along a cosine."""
    if progress < warmup_ratio:
        return progress / warmup_ratio
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup_ratio) / (1 - warmup_ratio)))


def write_figures(spec: dict[str, Any], clock: Clock, collator: Collator) -> None:
    figures = {
        "began": clock.began,
        "step_ends": clock.ends,
        "step_tokens": collator.tokens[: len(clock.ends)],
        "losses": clock.losses,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    Path(spec["folder"], "figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
