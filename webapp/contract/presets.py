"""Auto: the value of every knob where a person turned none. One table, chosen by measurement.

Measured on 2026-11-24 on the sample datasets, 2 CPU cores, on rows held out for the verdict (base -> tuned):

| task (sample, base model)           | method        | setting                   | result                         |
|-------------------------------------|---------------|---------------------------|--------------------------------|
| generate (dates, SmolLM2 135M)      | LoRA          | 1e-3, 3 epochs            | exact match 0 % -> 92 %        |
|                                     | prompt tuning | 1e-2, 6 epochs            | exact match 0 % -> 60 %        |
|                                     |               | 1e-1                      | 55 %                           |
| chat (money, SmolLM2 135M)          | LoRA          | 1e-3, 3 epochs            | exact match 0 % -> 45 %        |
| classify (kinds, MiniLM L6), 2 seeds| LoRA          | 1e-3, 10 epochs           | accuracy 18 % -> 72 %, 71 %    |
|                                     |               | 1e-3, 5 epochs            | 71 %, 68 %                     |
|                                     |               | 5e-4, 8 epochs            | 69 %, 68 %                     |
|                                     |               | 2e-3 / 3e-3 / 1e-2, 5 ep. | 71 % / 54 % / 18 % (fell apart)|
|                                     | prompt tuning | 1e-2, 10 epochs           | accuracy 18 % -> 67 %          |
|                                     |               | 1e-1                      | 68 %                           |
"""

from webapp.contract.methods import KnobValue
from webapp.contract.model_shape import ModelShape
from webapp.contract.tasks import Task

_LORA: dict[str, KnobValue] = {
    "rank": 8,
    "alpha": 16,
    "dropout": 0.0,
    "targets": "all-linear",
    "variant": "lora",
    "init": "default",
    "quantised": "no",
    "learning_rate": 1e-3,
}
_METHOD_PRESETS: dict[str, dict[str, KnobValue]] = {
    "lora": _LORA,
    "prompt_tuning": {"num_virtual_tokens": 16, "init": "text", "learning_rate": 1e-2},
    "p_tuning": {"num_virtual_tokens": 16, "encoder_hidden_size": 128, "learning_rate": 3e-3},
    "prefix_tuning": {"num_virtual_tokens": 16, "init": "zero", "projection": "no", "learning_rate": 1e-2},
    "bottleneck": {"placement": "pfeiffer", "reduction_factor": 16, "learning_rate": 1e-3},
    "ia3": {"learning_rate": 1e-2},
    "freezing": {"num_blocks": 2, "also": "nothing", "learning_rate": 3e-4},
    "full": {"learning_rate": 5e-5},
}

_EPOCHS: dict[Task, tuple[int, int]] = {"generate": (3, 900), "classify": (10, 4_000), "transform": (6, 1_800)}
"""(most epochs, rows seen after which more no longer helps): small datasets go round more often."""


def auto_knobs(method: str, task: Task, shape: ModelShape, num_train_rows: int) -> dict[str, KnobValue]:
    """Every knob of the method and of training, right for this much data. Raises KeyError for an unknown method."""
    most_epochs, enough_rows = _EPOCHS[task]
    preset = dict(_METHOD_PRESETS[method])
    # Virtual tokens stand before the text and take from what the model can read.
    longest = shape.max_length - int(preset.get("num_virtual_tokens", 0))
    if "num_blocks" in preset:
        preset["num_blocks"] = min(int(preset["num_blocks"]), shape.num_layers)
    if "reduction_factor" in preset:
        preset["reduction_factor"] = min(int(preset["reduction_factor"]), shape.hidden_size)
    epochs = max(1, min(most_epochs, round(enough_rows / max(num_train_rows, 1))))
    return {
        **preset,
        "epochs": epochs,
        "patience": 4,
        "batch_size": 8 if num_train_rows < 2_000 else 16,
        "warmup_ratio": 0.1,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "max_length": min(longest, 1024 if task == "generate" else 512),
        "gradient_checkpointing": "no",
    }
