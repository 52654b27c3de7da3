"""P-tuning (Liu et al. 2021, arXiv 2103.10385), as peft does it: virtual tokens made by a small network.

An adapter holds the tokens only. The network goes along in a file of its own, for whoever trains on.
"""

from pathlib import Path

from peft import PromptEncoderConfig, get_peft_model

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.fresh_pooler import modules_with_head
from worker.engine.methods.peft_adapters import TASK_TYPES


def build_p_tuning(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """Tokens and network are fp32 whatever the base is."""
    config = PromptEncoderConfig(
        task_type=TASK_TYPES[recipe.task],
        num_virtual_tokens=recipe.whole("num_virtual_tokens"),
        num_transformer_submodules=1,
        encoder_hidden_size=recipe.whole("encoder_hidden_size"),
        modules_to_save=modules_with_head(base),
    )
    return get_peft_model(base, config)
