"""A BERT kept without its pooler, the layer that a classifier reads, gets one at random at each load.

So it is trained along with the head, by every method, and kept with what was trained.
"""

from torch.nn import Parameter

from worker.engine.forward import Model

POOLER = "pooler.dense"


def has_fresh_pooler(model: Model) -> bool:
    """Of a loaded base model, wrapped or not; `load_base` notes it."""
    return bool(getattr(model, "has_fresh_pooler", False))


def modules_with_head(base: Model) -> list[str] | None:
    """For peft's `modules_to_save`, to which it adds the head by itself."""
    return [POOLER] if has_fresh_pooler(base) else None


def fresh_pooler(model: Model) -> dict[str, Parameter]:
    """Its weights by their names in the model; none where the base brought its own."""
    if not has_fresh_pooler(model):
        return {}
    return {name: weight for name, weight in model.named_parameters() if f".{POOLER}." in name}
