"""What the methods that peft brings have in common: how an adapter is written, and gone on from."""

from pathlib import Path

from peft import TaskType, set_peft_model_state_dict
from safetensors.torch import load_file

from webapp.contract.tasks import Task
from worker.engine.forward import Model

WEIGHTS = "adapter_model.safetensors"

TASK_TYPES: dict[Task, TaskType] = {
    "generate": TaskType.CAUSAL_LM,
    "classify": TaskType.SEQ_CLS,
    "transform": TaskType.SEQ_2_SEQ_LM,
}


def save_peft(model: Model, folder: Path, reference: str) -> None:
    """Weights and config as plain peft reads them; `reference` names the base model."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = reference
        # Where the tokenizer lay while training is nobody's business, and not there on another machine.
        if getattr(config, "tokenizer_name_or_path", None):
            config.tokenizer_name_or_path = reference
    # "auto" would ask the hub whether the vocabulary grew; it never does here.
    model.save_pretrained(folder, save_embedding_layers=False)


def start_from_peft(model: Model, folder: Path) -> None:
    """Put the weights of an adapter of the same make into a freshly built model. `PeftModel.from_pretrained` would
    refuse to train what stands before the text; only the tensors are needed."""
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS))
