"""Classifying texts with transformers' Trainer and peft, as a person writes it from their docs.

python classify.py SPEC.json    trains on train.jsonl, measures test.jsonl before and after
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


def main(spec: dict[str, Any]) -> None:
    torch.manual_seed(spec["seed"])
    folder = Path(spec["folder"])
    rows = {name: read(folder / f"{name}.jsonl") for name in ("train", "test")}
    labels = sorted({row["output"] for row in rows["train"]})
    tokenizer = AutoTokenizer.from_pretrained(spec["base_model"])

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        return {**tokenizer(row["input"], truncation=True, max_length=512), "label": labels.index(row["output"])}

    data = {
        name: Dataset.from_list(some).map(encode, remove_columns=["input", "output", "messages"])
        for name, some in rows.items()
    }
    model = AutoModelForSequenceClassification.from_pretrained(spec["base_model"], num_labels=len(labels))
    config = LoraConfig(task_type="SEQ_CLS", r=spec["rank"], lora_alpha=spec["alpha"], target_modules="all-linear")
    trainer = Trainer(
        get_peft_model(model, config),
        arguments(spec),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=data["train"],
        eval_dataset=data["test"],
        compute_metrics=lambda told: {"accuracy": float(np.mean(told.predictions.argmax(-1) == told.label_ids))},
    )
    trainer.evaluate()
    trainer.train()
    accuracy = trainer.evaluate()["eval_accuracy"]
    trainer.save_model(str(folder / "adapter"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (folder / "figures.json").write_text(json.dumps({"accuracy": accuracy, "peak_memory_bytes": peak}))


def arguments(spec: dict[str, Any]) -> TrainingArguments:
    return TrainingArguments(
        output_dir=spec["folder"] + "/trainer",
        per_device_train_batch_size=spec["batch_size"],
        per_device_eval_batch_size=32,
        num_train_epochs=spec["epochs"],
        learning_rate=spec["learning_rate"],
        lr_scheduler_type="cosine",
        warmup_steps=spec["warmup_ratio"],
        train_sampling_strategy="group_by_length",
        disable_tqdm=True,
        save_strategy="no",
        report_to="none",
        seed=spec["seed"],
        use_cpu=True,
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
