"""The base model, from a local folder only: no network, no code that comes with a model."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from webapp.contract.model_folder import tokenizer_problem
from webapp.contract.tasks import Task
from worker.engine.encode import Tokenizer
from worker.engine.errors import TrainingError, is_out_of_memory
from worker.engine.forward import Model
from worker.engine.levers.blocks import quicken_blocks
from worker.engine.levers.dropout import quicken_dropouts
from worker.engine.levers.last_block import narrow_last_block
from worker.engine.levers.layer_norm import quicken_layer_norms
from worker.engine.levers.norm import quicken_norms
from worker.engine.quantised import in_4_bits, keep_differentiable
from worker.engine.tokenizer import refused


class Place(NamedTuple):
    """Where and how exactly the frozen weights compute."""

    device: torch.device
    dtype: torch.dtype
    stored: torch.dtype
    """How exactly the base's weights lie on the disk."""
    is_mixed: bool = False
    """Whether steps multiply in bf16 though the base is fp32; what is measured for the verdict never does."""

    @property
    def precision(self) -> str:
        if self.is_mixed:
            return "fp32, steps in bf16"
        return {torch.float32: "fp32", torch.bfloat16: "bf16"}[self.dtype]


def choose_place(folder: Path, task: Task) -> Place:
    """A GPU if there is one. bf16 where the hardware multiplies it fast, for generating models kept in 16 bits: only
    there is it what a user of the adapter will compute in too. A classifier stays fp32 and takes its steps in mixed
    precision: MiniLM with LoRA on 16 rows of 15 tokens takes 25 % less time by it, of 60 tokens 37 %.

    Measured on 2 cores with AVX512-BF16, LoRA r8 on a 135M Llama: a step on 8x256 tokens takes 4.5 s in bf16 and
    8.7 s in fp32; on 8x64 tokens 1.7 s and 2.0 s.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else cpu_has_bf16()
    stored = _config(folder).dtype or torch.float32
    is_half = stored in (torch.bfloat16, torch.float16)
    dtype = torch.bfloat16 if task == "generate" and is_fast and is_half else torch.float32
    return Place(device, dtype, stored, is_mixed=task == "classify" and is_fast)


def cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _config(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise refused("The base model's config.json cannot be read.", error) from error


def load_base(folder: Path, task: Task, place: Place, labels: list[str], *, is_quantised: bool = False) -> Model:
    """The frozen model, in evaluation mode. For classify it has a fresh head with one output a label.

    Raises TrainingError.
    """
    options: dict[str, Any] = {
        "dtype": place.dtype,
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if is_quantised:
        options |= in_4_bits(place.device, place.dtype)
    try:
        if task == "generate":
            model = AutoModelForCausalLM.from_pretrained(folder, **options)
        elif task == "transform":
            model = AutoModelForSeq2SeqLM.from_pretrained(folder, **options)
        else:
            model = _classifier(folder, labels, options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise refused("The base model cannot be loaded from its folder.", error) from error
    return prepare_base(model, place, is_quantised=is_quantised)


def prepare_base(model: Model, place: Place, *, is_quantised: bool = False) -> Model:
    """Freeze the model of transformers, with our faster modules in it, and move it to its device."""
    quicken_norms(model)
    quicken_layer_norms(model)
    quicken_blocks(model)
    quicken_dropouts(model)
    narrow_last_block(model)
    # What the config tells is how the model was kept, also where it is computed with more exactly.
    model.config.dtype = place.stored
    model.is_mixed = place.is_mixed
    if is_quantised:
        keep_differentiable(model)
    else:
        model = model.to(place.device)
    return model.requires_grad_(False).eval()


def check_tokenizer(model: Model, tokenizer: Tokenizer) -> None:
    """Raises TrainingError where a token would have no row in the model's table."""
    rows = int(model.get_input_embeddings().num_embeddings)
    largest = max(len(tokenizer), *(number + 1 for number in tokenizer.get_vocab().values()))
    if largest > rows:
        raise TrainingError("base_model", tokenizer_problem(largest, rows))


def _classifier(folder: Path, labels: list[str], options: dict[str, Any]) -> Model:
    names = dict(enumerate(labels))
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        folder,
        id2label=names,
        label2id={label: number for number, label in names.items()},
        # The folder may hold a head for another number of labels; it is thrown away.
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    # See methods/fresh_pooler.py.
    model.has_fresh_pooler = any(".pooler." in name for name in loading["missing_keys"])
    return model
