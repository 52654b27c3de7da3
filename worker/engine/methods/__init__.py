"""One short file a family of methods; this table has the keys of the contract's catalogue (a test holds that)."""

from collections.abc import Callable

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.lora import build_lora
from worker.engine.methods.prompt_tuning import build_prompt_tuning

BUILDERS: dict[str, Callable[[Model, Recipe, str], Model]] = {
    "lora": build_lora,
    "prompt_tuning": build_prompt_tuning,
}
"""Method -> wraps a loaded base model for training; the third argument is the folder of its tokenizer."""
