"""IA3 (Liu et al. 2022, arXiv 2205.05638), as peft does it: keys, values and the feed-forward are scaled."""

import re
from pathlib import Path

from peft import IA3Config, get_peft_model

from webapp.contract.costs import IA3_SCALES_INPUTS, IA3_SCALES_OUTPUTS
from webapp.contract.model_shape import FAMILY_OF_TYPE
from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.fresh_pooler import modules_with_head
from worker.engine.methods.peft_adapters import TASK_TYPES


def build_ia3(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """Scales are fp32 whatever the base is, and start at one, so that the first step sees the base as it is."""
    family = FAMILY_OF_TYPE[base.config.model_type]
    outputs = IA3_SCALES_OUTPUTS[family]
    # A BERT has two layers whose names end so; the one in its attention is not meant.
    inputs = r"\d+\.output\.dense" if family == "bert" else re.escape(IA3_SCALES_INPUTS[family])
    targets = "|".join([*(re.escape(name) for name in outputs), inputs])
    config = IA3Config(
        task_type=TASK_TYPES[recipe.task],
        target_modules=rf".*\.({targets})",
        feedforward_modules=rf".*\.({inputs})",
        modules_to_save=modules_with_head(base),
    )
    return get_peft_model(base, config)
