"""What an adapter will weigh, told before training. Exact: a test compares with what the engine then reports."""

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict

from webapp.contract.methods import KnobValue
from webapp.contract.model_shape import Family, ModelShape
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
    head, unused = (shape.head_params(num_labels), shape.head_for_others) if task == "classify" else (0, 0)
    trained_unused = unused if method == "full" else 0
    trainable = trained_params(method, knobs, shape) + head - trained_unused
    kept = kept_params(method, knobs, shape) + head - trained_unused
    trains_base = method in ("freezing", "full")
    # What is trained in the base itself is kept as exactly as the base is, and its new head with it.
    kept_bytes = round(shape.size_bytes / shape.num_params) if trains_base else BYTES_PER_ADAPTER_WEIGHT
    return Costs(
        trainable_params=trainable,
        total_params=shape.num_params - unused + (head if trains_base else trainable),
        adapter_bytes=kept * kept_bytes,
        full_checkpoint_bytes=shape.size_bytes,
    )


def trained_params(method: str, knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """Weights that the optimizer moves, without a classification head. Raises KeyError for an unknown method."""
    return _TRAINED[method](knobs, shape)


def kept_params(method: str, knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """Weights in the result, without a classification head: some methods need more while training, or less."""
    if method == "p_tuning":
        return _prompt(knobs, shape)
    if method == "prefix_tuning":
        return _prefix(knobs, shape)
    if method == "lora" and knobs["init"] == "pissa":
        return 2 * _lora(knobs, shape)
    return trained_params(method, knobs, shape)


def _lora(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    layers = [one for one in shape.linear_layers().values() if one.is_attention or knobs["targets"] == "all-linear"]
    rank = int(knobs["rank"])
    matrices = rank * sum(one.how_many * (one.inputs + one.outputs) for one in layers)
    # DoRA has one number more for each output: how large its weights are.
    return matrices + (sum(one.how_many * one.outputs for one in layers) if knobs["variant"] == "dora" else 0)


def _prompt(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    return int(knobs["num_virtual_tokens"]) * shape.hidden_size


def _p_tuning(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """The tokens it starts from, and a network of three layers over them."""
    hidden, width = shape.hidden_size, int(knobs["encoder_hidden_size"])
    network = (hidden * width + width) + (width * width + width) + (width * hidden + hidden)
    return _prompt(knobs, shape) + network


def _prefix(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    return int(knobs["num_virtual_tokens"]) * shape.prefix_layers * 2 * shape.kv_size


def _prefix_tuning(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """Without a projection the prefix itself; with one the tokens it starts from and a network of two layers."""
    if knobs["projection"] == "no":
        return _prefix(knobs, shape)
    inner, outputs = shape.kv_size, shape.prefix_layers * 2 * shape.kv_size
    hidden = shape.hidden_size
    return int(knobs["num_virtual_tokens"]) * inner + (inner * hidden + hidden) + (hidden * outputs + outputs)


def _bottleneck(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    hidden = shape.hidden_size
    narrow = max(1, hidden // int(knobs["reduction_factor"]))
    modules = (2 if knobs["placement"] == "houlsby" else 1) * shape.num_blocks
    return modules * (2 * hidden * narrow + narrow + hidden)


def _ia3(_knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """A number for each key, each value, and each input of the feed-forward's second layer."""
    layers = shape.linear_layers()
    outputs = sum(layers[name].how_many * layers[name].outputs for name in IA3_SCALES_OUTPUTS[shape.family])
    inputs = layers[IA3_SCALES_INPUTS[shape.family]]
    return outputs + inputs.how_many * inputs.inputs


def _freezing(knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    """The last blocks whole, of an encoder-decoder in both stacks; of the earlier ones a part."""
    trained = int(knobs["num_blocks"])
    stacks = [(shape.num_layers, shape.block), (shape.num_decoder_layers, shape.decoder_block)]
    total = 0
    for num_blocks, block in stacks:
        part = {"nothing": 0, "norms": block.norms, "biases": block.biases}[str(knobs["also"])]
        total += trained * block.params + max(0, num_blocks - trained) * part
    return total


def _full(_knobs: Mapping[str, KnobValue], shape: ModelShape) -> int:
    return shape.num_params


_TRAINED: dict[str, Callable[[Mapping[str, KnobValue], ModelShape], int]] = {
    "lora": _lora,
    "prompt_tuning": _prompt,
    "p_tuning": _p_tuning,
    "prefix_tuning": _prefix_tuning,
    "bottleneck": _bottleneck,
    "ia3": _ia3,
    "freezing": _freezing,
    "full": _full,
}

IA3_SCALES_OUTPUTS: dict[Family, tuple[str, ...]] = {
    "llama": ("k_proj", "v_proj"),
    "gpt2": ("attn.c_attn",),
    "bert": ("key", "value"),
    "t5": ("k", "v"),
}
IA3_SCALES_INPUTS: dict[Family, str] = {
    "llama": "down_proj",
    "gpt2": "mlp.c_proj",
    "bert": "output.dense",
    "t5": "wo",
}
"""The layers IA3 scales, as in its paper; GPT-2 has queries, keys and values in one layer, which is scaled whole."""
