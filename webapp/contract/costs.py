"""What an adapter will weigh, told before training. Exact: a test compares with what the engine then reports."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from webapp.contract.base_models import ModelShape
from webapp.contract.methods import KnobValue
from webapp.contract.tasks import Task

BYTES_PER_ADAPTER_WEIGHT = 4
"""Adapter weights are trained and kept in fp32."""


class Costs(BaseModel):
    model_config = ConfigDict(frozen=True)

    trainable_params: int
    total_params: int
    """Base and adapter together."""
    adapter_bytes: int
    full_checkpoint_bytes: int

    @property
    def trainable_share(self) -> float:
        return self.trainable_params / self.total_params


def costs_of(method: str, knobs: Mapping[str, KnobValue], shape: ModelShape, *, task: Task, num_labels: int) -> Costs:
    """Sizes of a job's result; `num_labels` counts only for the task classify."""
    trainable = _method_params(method, knobs, shape)
    if task == "classify":
        trainable += shape.hidden_size * num_labels + num_labels
    return Costs(
        trainable_params=trainable,
        total_params=shape.num_params + trainable,
        adapter_bytes=trainable * BYTES_PER_ADAPTER_WEIGHT,
        full_checkpoint_bytes=shape.size_bytes,
    )


def _method_params(method: str, knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    if method == "lora":
        layers = shape.attention_layers() if knobs["targets"] == "attention" else shape.linear_layers()
        return int(knobs["rank"]) * shape.num_layers * sum(inputs + outputs for inputs, outputs in layers.values())
    if method == "prompt_tuning":
        return int(knobs["num_virtual_tokens"]) * shape.hidden_size
    raise KeyError(method)
