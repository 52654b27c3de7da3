"""LoRA (Hu et al. 2021, arXiv 2106.09685) and its variants rsLoRA (Kalajdzievski 2023, arXiv 2312.03732) and DoRA
(Liu et al. 2024, arXiv 2402.09353), as peft does it; how it may start is in pissa.py, how it is kept in plain_lora.py.
"""

from pathlib import Path

from peft import LoraConfig, get_peft_model

from webapp.contract.model_shape import FAMILY_OF_TYPE, Family
from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.levers.low_rank import quicken_lora
from worker.engine.methods.fresh_pooler import modules_with_head
from worker.engine.methods.peft_adapters import TASK_TYPES
from worker.engine.methods.pissa import start_as_pissa

ATTENTION: dict[Family, list[str]] = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "gpt2": ["attn.c_attn", "attn.c_proj"],
    "bert": ["query", "key", "value", "attention.output.dense"],
    "t5": ["q", "k", "v", "o"],
}
FEED_FORWARD: dict[Family, list[str]] = {
    "llama": ["gate_proj", "up_proj", "down_proj"],
    "gpt2": ["mlp.c_fc", "mlp.c_proj"],
    "bert": ["intermediate.dense", "output.dense"],
    "t5": ["wi", "wi_0", "wi_1", "wo"],
}


def build_lora(base: Model, recipe: Recipe, tokenizer_dir: Path) -> Model:
    """Adapter weights are fp32 whatever the base is."""
    family = FAMILY_OF_TYPE[base.config.model_type]
    config = LoraConfig(
        task_type=TASK_TYPES[recipe.task],
        r=recipe.whole("rank"),
        lora_alpha=recipe.whole("alpha"),
        lora_dropout=recipe.number("dropout"),
        target_modules=ATTENTION[family] + (FEED_FORWARD[family] if recipe.knobs["targets"] == "all-linear" else []),
        use_rslora=recipe.knobs["variant"] == "rslora",
        use_dora=recipe.knobs["variant"] == "dora",
        fan_in_fan_out=family == "gpt2",
        modules_to_save=modules_with_head(base),
    )
    model = get_peft_model(base, config)
    if recipe.knobs["init"] == "pissa" and recipe.start_adapter is None:
        start_as_pissa(model)
    quicken_lora(model)
    return model
