"""Full fine-tuning and bottleneck adapters in the loop one writes first: random rows, padded, all logits, AdamW.

python loop.py SPEC.json    as train.py
"""

import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM


class Bottleneck(nn.Module):
    """Pfeiffer's, behind a block."""

    def __init__(self, hidden_size: int, narrow: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(hidden_size, narrow), nn.Linear(narrow, hidden_size)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.up(torch.relu(self.down(hidden.float()))).to(hidden.dtype)


def main(spec: dict[str, Any]) -> None:
    torch.manual_seed(spec["seed"])
    dtype = torch.bfloat16 if spec["precision"] == "bf16 weights" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(spec["base_model"], dtype=dtype, attn_implementation=spec["attention"])
    if spec["method"] == "bottleneck":
        insert_bottlenecks(model, spec["reduction_factor"])
    model.train()
    rows = [json.loads(line) for line in Path(spec["rows"]).read_text().splitlines()]
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=spec["learning_rate"], weight_decay=0.0)
    autocast = torch.autocast("cpu", torch.bfloat16) if spec["precision"] == "bf16 autocast" else nullcontext()
    began, ends, tokens = time.time(), [], []
    for batch in batches(rows, spec["batch_size"], spec["seed"]):
        with autocast:
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ends.append(time.time())
        tokens.append(int(batch["attention_mask"].sum()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"began": began, "step_ends": ends, "step_tokens": tokens, "peak_memory_bytes": peak}
    Path(spec["folder"], "figures.json").write_text(json.dumps(figures))


def insert_bottlenecks(model: Any, reduction_factor: int) -> None:
    model.requires_grad_(False)
    size = model.config.hidden_size
    for block in model.model.layers:
        block.bottleneck = Bottleneck(size, size // reduction_factor)
        block.register_forward_hook(lambda block, _inputs, output: block.bottleneck(output))


def batches(rows: list[dict[str, Any]], batch_size: int, seed: int) -> Iterator[dict[str, Tensor]]:
    random.Random(seed).shuffle(rows)
    for at in range(0, len(rows), batch_size):
        batch = rows[at : at + batch_size]
        ids = [torch.tensor(row["input_ids"]) for row in batch]
        labels = [torch.tensor(row["labels"]) for row in batch]
        yield {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
        }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
