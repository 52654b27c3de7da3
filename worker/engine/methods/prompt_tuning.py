"""Prompt tuning (Lester et al. 2021, arXiv 2104.08691), as peft does it."""

from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model

START_TEXT = {
    "generate": "Read the input and write exactly the output that belongs to it, nothing else.",
    "classify": "Read the text and choose the one label that fits it best.",
}
_STARTS = {
    "text": PromptTuningInit.TEXT,
    "vocabulary": PromptTuningInit.SAMPLE_VOCAB,
    "random": PromptTuningInit.RANDOM,
}


def build_prompt_tuning(base: Model, recipe: Recipe, tokenizer_dir: str) -> Model:
    """Virtual tokens are fp32 whatever the base is."""
    start = str(recipe.knobs["init"])
    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM if recipe.task == "generate" else TaskType.SEQ_CLS,
        num_virtual_tokens=recipe.whole("num_virtual_tokens"),
        prompt_tuning_init=_STARTS[start],
        prompt_tuning_init_text=START_TEXT[recipe.task] if start == "text" else None,
        tokenizer_name_or_path=tokenizer_dir,
        tokenizer_kwargs={"local_files_only": True} if start == "text" else None,
    )
    return get_peft_model(base, config)
