"""Prompt tuning (Lester et al. 2021, arXiv 2104.08691), as peft does it."""

from pathlib import Path

from peft import PromptTuningConfig, PromptTuningInit, get_peft_model

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.fresh_pooler import modules_with_head
from worker.engine.methods.peft_adapters import TASK_TYPES
from worker.engine.methods.start_text import START_TEXT

_STARTS = {
    "text": PromptTuningInit.TEXT,
    "vocabulary": PromptTuningInit.SAMPLE_VOCAB,
    "random": PromptTuningInit.RANDOM,
}


def build_prompt_tuning(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """Virtual tokens are fp32 whatever the base is. In an encoder-decoder they stand before the encoder's input."""
    start = str(recipe.knobs["init"])
    config = PromptTuningConfig(
        task_type=TASK_TYPES[recipe.task],
        num_virtual_tokens=recipe.whole("num_virtual_tokens"),
        num_transformer_submodules=1,
        prompt_tuning_init=_STARTS[start],
        prompt_tuning_init_text=START_TEXT[recipe.task] if start == "text" else None,
        tokenizer_name_or_path=str(tokenizer_dir),
        tokenizer_kwargs={"local_files_only": True} if start == "text" else None,
        modules_to_save=modules_with_head(base),
    )
    return get_peft_model(base, config)
