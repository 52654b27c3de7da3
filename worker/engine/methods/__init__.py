"""One short file a method; this table has the keys of the contract's catalogue (a test holds that)."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from webapp.contract.recipe import Recipe
from worker.engine.forward import Model
from worker.engine.methods.adapterhub import save_bottleneck, start_from_bottleneck
from worker.engine.methods.bottleneck import build_bottleneck
from worker.engine.methods.freezing import build_freezing, save_delta, start_from_delta
from worker.engine.methods.full import build_full, save_full, start_from_full
from worker.engine.methods.ia3 import build_ia3
from worker.engine.methods.lora import build_lora
from worker.engine.methods.p_tuning import build_p_tuning
from worker.engine.methods.peft_adapters import save_peft, start_from_peft
from worker.engine.methods.plain_lora import save_lora
from worker.engine.methods.prefix_tuning import build_prefix_tuning, save_prefix, start_from_prefix
from worker.engine.methods.prompt_network import save_with_network, start_from_network
from worker.engine.methods.prompt_tuning import build_prompt_tuning
from worker.engine.methods.trained_base import settle


class EngineMethod(NamedTuple):
    """What the engine needs of a method.

    `build` readies a loaded, frozen base model for training (the folder is its tokenizer's): only what is to be
    trained requires gradients then, in fp32. `save` writes what ships into a folder; the text names the base model.
    `start_from` puts an earlier adapter's weights into a freshly built model. `settle` follows training: it rounds
    what was trained to what will be kept; the dtype is the one the base computes in.
    """

    build: Callable[[Model, Recipe, Path], Model]
    save: Callable[[Model, Path, str], None]
    start_from: Callable[[Model, Path], None]
    settle: Callable[[Model, torch.dtype], None] = lambda _model, _computed: None


ENGINE_METHODS: dict[str, EngineMethod] = {
    "lora": EngineMethod(build_lora, save_lora, start_from_peft),
    "prompt_tuning": EngineMethod(build_prompt_tuning, save_peft, start_from_peft),
    "p_tuning": EngineMethod(build_p_tuning, save_with_network, start_from_network),
    "prefix_tuning": EngineMethod(build_prefix_tuning, save_prefix, start_from_prefix),
    "bottleneck": EngineMethod(build_bottleneck, save_bottleneck, start_from_bottleneck),
    "ia3": EngineMethod(build_ia3, save_peft, start_from_peft),
    "freezing": EngineMethod(build_freezing, save_delta, start_from_delta, settle),
    "full": EngineMethod(build_full, save_full, start_from_full, settle),
}
