"""What each method can do, and what does not go together: the one table that the picker, the recipe check, the
exports and the help page share.

Each function gives the reason in a sentence, or None where the choice is fine.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from webapp.contract.methods import METHODS, KnobValue
from webapp.contract.model_shape import FAMILY_WORDS, TASKS_OF_FAMILY, Family, ModelShape
from webapp.contract.tasks import TASK_WORDS, Task

Ability = Literal[
    "merge", "gguf", "vllm", "adapterhub", "quantised_base", "gradient_checkpointing", "continue_training"
]
ABILITIES: tuple[Ability, ...] = get_args(Ability)

ABILITY_WORDS: dict[Ability, tuple[str, str]] = {
    "merge": ("Merges", "The base with the adapter worked into its weights is one plain model."),
    "gguf": ("GGUF", "llama.cpp and Ollama run it, as a file or merged: models of Llama's kind that write answers."),
    "vllm": ("vLLM", "vLLM serves it beside others on one base: models of Llama's kind that write answers."),
    "adapterhub": ("AdapterHub", "Opens in the library “adapters”."),
    "quantised_base": ("4-bit base", "The frozen base may be kept in 4 bits while training (QLoRA)."),
    "gradient_checkpointing": ("Saves memory", "May compute again what lies between the blocks while training."),
    "continue_training": ("Continues", "A later job can start from the adapter and go on."),
}  # fmt: skip
"""Ability -> (a word for badges and columns, what it means)."""

ABILITIES_OF_RESULTS: tuple[Ability, ...] = ("merge", "gguf", "vllm", "adapterhub")
"""Those that say where the trained thing can go."""


class Can(NamedTuple):
    """Yes or no, and why or under which condition; the sentence may be empty for a plain yes."""

    yes: bool
    why: str = ""


class AbilityLine(NamedTuple):
    """An ability of one method, as pages show it."""

    word: str
    meaning: str
    yes: bool
    why: str


_IN_FRONT = "It stands before the text and is no change of weights."
_MODULES = "Its modules have a bend, which no matrix product can stand for."
_AFTER_MERGING = "Once merged, as a plain model."
_NO_QUANTISED = "Only LoRA trains beside 4-bit weights here."
_TRAINS_BASE = "It trains the base's own weights, and 4 bits are too few to move by small steps."
_NOT_A_LORA = "vLLM takes LoRA only."

_RUNNERS: dict[Ability, str] = {"gguf": "llama.cpp", "vllm": "vLLM"}
"""Abilities that depend on the program that runs the result."""

CAPABILITIES: dict[str, dict[Ability, Can]] = {
    "lora": {
        "merge": Can(True, "Not where the base is kept in 4 bits: load the base whole for that."),
        "gguf": Can(True, "As an adapter file; DoRA only merged."),
        "vllm": Can(True, "Not DoRA, which has weights that vLLM does not know."),
        "adapterhub": Can(False, "AdapterHub has a LoRA format of its own."),
        "quantised_base": Can(True, "Where the worker has the package bitsandbytes."),
        "gradient_checkpointing": Can(True),
        "continue_training": Can(True),
    },
    **{
        name: {
            "merge": Can(False, _IN_FRONT),
            "gguf": Can(False, "llama.cpp cannot put trained vectors before a text."),
            "vllm": Can(False, _NOT_A_LORA),
            "adapterhub": Can(False, "AdapterHub has a format of its own for it."),
            "quantised_base": Can(False, _NO_QUANTISED),
            "gradient_checkpointing": Can(True),
            "continue_training": Can(True),
        }
        for name in ("prompt_tuning", "p_tuning", "prefix_tuning")
    },
    "bottleneck": {
        "merge": Can(False, _MODULES),
        "gguf": Can(False, _MODULES),
        "vllm": Can(False, _NOT_A_LORA),
        "adapterhub": Can(True, "It is written in AdapterHub's own format."),
        "quantised_base": Can(False, _NO_QUANTISED),
        "gradient_checkpointing": Can(True),
        "continue_training": Can(True),
    },
    "ia3": {
        "merge": Can(True),
        "gguf": Can(True, _AFTER_MERGING),
        "vllm": Can(False, _NOT_A_LORA),
        "adapterhub": Can(False, "AdapterHub has a format of its own for it."),
        "quantised_base": Can(False, _NO_QUANTISED),
        "gradient_checkpointing": Can(True),
        "continue_training": Can(True),
    },
    "freezing": {
        "merge": Can(True, "It is a part of the base's weights, put in their place."),
        "gguf": Can(True, _AFTER_MERGING),
        "vllm": Can(False, "vLLM serves it as a model of its own, not beside others."),
        "adapterhub": Can(False, "It is no adapter in AdapterHub's sense."),
        "quantised_base": Can(False, _TRAINS_BASE),
        "gradient_checkpointing": Can(True),
        "continue_training": Can(True),
    },
    "full": {
        "merge": Can(True, "It is a whole model already."),
        "gguf": Can(True),
        "vllm": Can(False, "vLLM serves it as a model of its own, not beside others."),
        "adapterhub": Can(False, "It is a model, not an adapter."),
        "quantised_base": Can(False, _TRAINS_BASE),
        "gradient_checkpointing": Can(True),
        "continue_training": Can(True),
    },
}
# Its keys and values would have to be computed again as well, and are not (huggingface/peft #869).
CAPABILITIES["prefix_tuning"]["gradient_checkpointing"] = Can(
    False, "The prefix lies in what attention remembers, which computing again would lose."
)


def abilities_of(
    method: str,
    abilities: tuple[Ability, ...] = ABILITIES,
    *,
    family: Family | None = None,
    task: Task | None = None,
) -> tuple[AbilityLine, ...]:
    """Returns a method's abilities in the order of the table's columns; for a kind of model and a task where both are
    given, else as far as the method alone decides."""
    return tuple(AbilityLine(*ABILITY_WORDS[one], *can(method, one, family, task)) for one in abilities)


def can(method: str, ability: Ability, family: Family | None, task: Task | None) -> Can:
    """Returns whether a method has an ability on this kind of model and for this task."""
    by_method = CAPABILITIES[method][ability]
    if not by_method.yes or ability not in _RUNNERS or family is None or task is None:
        return by_method
    runner = _RUNNERS[ability]
    if task == "classify":
        return Can(False, f"{runner} runs models that write; a head that chooses a label has no place there.")
    if family != "llama":
        return Can(False, f"Not tested for the {FAMILY_WORDS[family]}: only models of Llama's kind are.")
    return by_method


def impossible(method: str, family: Family, task: Task) -> str | None:
    """Why this method cannot train this task on this kind of model. The matrix of tests has every pair, and each works,
    so that only the task decides."""
    if task not in TASKS_OF_FAMILY[family]:
        return f"The {FAMILY_WORDS[family]} cannot be trained for the task “{TASK_WORDS[task][0]}”."
    return None


def knob_conflicts(method: str, knobs: Mapping[str, KnobValue]) -> dict[str, str]:
    """Knob -> why its value does not go with that of another."""
    conflicts = {}
    if knobs.get("gradient_checkpointing") == "yes" and not CAPABILITIES[method]["gradient_checkpointing"].yes:
        why = CAPABILITIES[method]["gradient_checkpointing"].why
        conflicts["gradient_checkpointing"] = f"Save memory: {METHODS[method].label} cannot do this. {why}"
    if method == "prefix_tuning" and knobs.get("projection") == "yes" and knobs.get("init") == "text":
        conflicts["init"] = "Start from: with a projection the prefix starts at random. Choose “Zero” or no projection."
    if method == "lora":
        conflicts |= _lora_conflicts(knobs)
    return conflicts


def _lora_conflicts(knobs: Mapping[str, KnobValue]) -> dict[str, str]:
    conflicts = {}
    if knobs.get("init") == "pissa" and knobs.get("variant") == "dora":
        conflicts["init"] = "Start from: PiSSA and DoRA both take the base weights apart; choose one of them."
    if knobs.get("init") == "pissa" and knobs.get("quantised") == "4bit":
        conflicts["quantised"] = "Base weights: PiSSA must read the whole weights. Keep them as they are."
    return conflicts


def shape_conflicts(method: str, knobs: Mapping[str, KnobValue], shape: ModelShape) -> dict[str, str]:
    """Knob -> why its value does not go with this base model."""
    if method == "freezing" and int(knobs["num_blocks"]) > shape.num_layers:
        most = shape.num_layers
        return {"num_blocks": f"Trained blocks: the base model has {most} blocks. Give {most} or less."}
    if method == "freezing" and knobs["also"] == "biases" and not shape.block.biases:
        return {"also": "Also train: this base model has no biases. Choose the norms, or nothing more."}
    if method == "prefix_tuning" and knobs["init"] == "text" and shape.architecture != "decoder":
        return {"init": "Start from: only a decoder remembers a text in a way that can be started from. Choose “Zero”."}
    if method == "bottleneck" and int(knobs["reduction_factor"]) > shape.hidden_size:
        return {"reduction_factor": f"Reduction: the base model is {shape.hidden_size} wide. Give that or less."}
    return {}
