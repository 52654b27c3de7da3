"""Knobs that are fine each by itself, but not with each other or with the base model."""

from webapp.base_models.models import BaseModel
from webapp.contract.capabilities import knob_conflicts, shape_conflicts
from webapp.contract.methods import KnobValue

FEWEST_TOKENS = 16

Knobs = dict[str, KnobValue]


def conflicts(method: str, model: BaseModel, auto: Knobs, turned: Knobs) -> dict[str, str]:
    """Knob -> what is wrong. `auto` makes room for the text by itself where a person did not say how much."""
    knobs = {**auto, **turned}
    return (
        knob_conflicts(method, knobs) or shape_conflicts(method, knobs, model.shape) or _too_long(model, auto, turned)
    )


def _too_long(model: BaseModel, auto: Knobs, turned: Knobs) -> dict[str, str]:
    """Text and virtual tokens together must fit into what the base model can read."""
    if not turned.keys() & {"max_length", "num_virtual_tokens"}:
        return {}
    num_virtual = int({**auto, **turned}.get("num_virtual_tokens", 0))
    most = model.shape.max_length - num_virtual
    reads = f"{model.title} reads at most {model.shape.max_length} tokens"
    if most < FEWEST_TOKENS:
        return {"num_virtual_tokens": f"Virtual tokens: {reads}; this leaves too few for the text."}
    if "max_length" not in turned:
        auto["max_length"] = min(int(auto["max_length"]), most)
    elif int(turned["max_length"]) > most:
        besides = f", {num_virtual} of them virtual" if num_virtual else ""
        return {"max_length": f"Longest row: {reads}{besides}. Give {most} or less."}
    return {}
