"""Auto: the value of every knob where a person turned none. One table.

Those for models below 500 million weights were chosen by runs on real rows: see “Presets” in the README, made by
`python -m tests.bench presets`, each run kept in `tests/bench/results/`. Those for larger models follow from the
literature and from peft's own comparison of methods on a 3B model: slower for larger models, faster for methods that
train little.
"""

import math

from webapp.contract.methods import KnobValue
from webapp.contract.model_shape import ModelShape
from webapp.contract.tasks import Task

_SIZE_CLASSES: tuple[int, ...] = (50_000_000, 500_000_000, 3_500_000_000)
"""Weights below which a model is in the first, second, third class; the rest are in the fourth."""

_LEARNING_RATES: dict[str, tuple[float, float, float, float]] = {
    "lora": (1e-3, 1e-3, 3e-4, 2e-4),
    "prompt_tuning": (1e-2, 1e-2, 3e-3, 1e-3),
    "p_tuning": (1e-2, 3e-3, 1e-3, 5e-4),
    "prefix_tuning": (1e-2, 1e-2, 5e-3, 5e-3),
    "bottleneck": (3e-3, 1e-3, 3e-4, 1e-4),
    "ia3": (1e-2, 1e-2, 5e-3, 5e-3),
    "freezing": (5e-4, 3e-4, 1e-4, 5e-5),
    "full": (1e-4, 5e-5, 2e-5, 1e-5),
}
"""One for each size class."""

_METHOD_KNOBS: dict[str, dict[str, KnobValue]] = {
    "lora": {
        "rank": 8,
        "alpha": 16,
        "dropout": 0.0,
        "targets": "all-linear",
        "variant": "lora",
        "init": "default",
        "quantised": "no",
    },
    "prompt_tuning": {"num_virtual_tokens": 16, "init": "text"},
    "p_tuning": {"num_virtual_tokens": 16, "encoder_hidden_size": 128},
    "prefix_tuning": {"num_virtual_tokens": 16, "init": "zero", "projection": "no"},
    "bottleneck": {"placement": "pfeiffer", "reduction_factor": 16},
    "ia3": {},
    "freezing": {"num_blocks": 2, "also": "nothing"},
    "full": {},
}

_EPOCHS: dict[Task, tuple[int, int]] = {"generate": (10, 600), "classify": (10, 4_000), "transform": (6, 1_800)}
"""(most epochs, rows seen after which more no longer helps): small datasets go round more often."""

_SLOW_LEARNERS = {"prompt_tuning": 2, "p_tuning": 2, "prefix_tuning": 2, "ia3": 2}
"""How many times the epochs these get: few weights need more steps. Early stopping ends what no longer helps."""


def auto_knobs(method: str, task: Task, shape: ModelShape, num_train_rows: int) -> dict[str, KnobValue]:
    """Every knob of the method and of training, right for this much data. Raises KeyError for an unknown method."""
    knobs = _that_fit(_METHOD_KNOBS[method], shape)
    # Virtual tokens stand before the text and take from what the model can read.
    longest = shape.max_length - int(knobs.get("num_virtual_tokens", 0))
    return {
        **knobs,
        "learning_rate": _LEARNING_RATES[method][_size_class(shape)],
        "epochs": _epochs(method, task, num_train_rows),
        "patience": 4,
        "batch_size": 8 if num_train_rows < 2_000 else 16,
        "warmup_ratio": 0.1,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "optimizer": "adamw",
        "max_length": min(longest, 1024 if task == "generate" else 512),
        "gradient_checkpointing": "no",
    }


def _epochs(method: str, task: Task, num_train_rows: int) -> int:
    most, enough_rows = _EPOCHS[task]
    times = _SLOW_LEARNERS.get(method, 1)
    return max(1, min(most * times, math.floor(enough_rows * times / max(num_train_rows, 1) + 0.5)))


def _size_class(shape: ModelShape) -> int:
    return sum(shape.num_params >= least for least in _SIZE_CLASSES)


def _that_fit(knobs: dict[str, KnobValue], shape: ModelShape) -> dict[str, KnobValue]:
    """Very small models have fewer blocks, or are narrower, than a preset asks for."""
    most = {"num_blocks": shape.num_layers, "reduction_factor": shape.hidden_size}
    return {name: min(int(value), most[name]) if name in most else value for name, value in knobs.items()}
