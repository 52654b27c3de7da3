"""LoRA (Hu et al. 2021, arXiv 2106.09685), as peft does it."""

from peft import LoraConfig, TaskType, get_peft_model

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model

ATTENTION = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "bert": ["query", "key", "value", "attention.output.dense"],
}
ENCODER_LINEAR = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


def build_lora(base: Model, recipe: Recipe, tokenizer_dir: str) -> Model:
    """Adapter weights are fp32 whatever the base is."""
    family = base.config.model_type
    targets: list[str] | str = "all-linear" if family == "llama" else ENCODER_LINEAR
    if recipe.knobs["targets"] == "attention":
        targets = ATTENTION[family]
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM if recipe.task == "generate" else TaskType.SEQ_CLS,
        r=recipe.whole("rank"),
        lora_alpha=recipe.whole("alpha"),
        lora_dropout=recipe.number("dropout"),
        target_modules=targets,
    )
    return get_peft_model(base, config)
