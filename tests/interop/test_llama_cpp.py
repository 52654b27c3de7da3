"""llama.cpp's converter makes of our LoRA adapters what peft computes with them."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.engine.cells import Cell, done
from tests.interop.llama_cpp import convert, told

pytestmark = pytest.mark.interop

NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
HEADS = {"attn_q": 4, "attn_k": 2}
"""Of the tiny Llama. Their rows stand in another order there: the two halves that a rotation turns are interleaved."""


def cell_of(**knobs: str) -> Cell:
    return Cell("lora", "llama", "generate", tuple(knobs.items()))


def changes_there(path: Path) -> dict[str, Tensor]:
    """What llama.cpp adds to each weight: alpha / rank * B A."""
    said = told(path)
    tensors = {name: torch.tensor(rows) for name, rows in said["tensors"].items()}
    changes = {}
    for name, down in tensors.items():
        if name.endswith(".lora_a"):
            up = tensors[name.removesuffix("a") + "b"]
            changes[name.removesuffix(".weight.lora_a")] = said["alpha"] / down.shape[0] * up @ down
    return changes


def change_here(model: PeftModel, name: str) -> Tensor:
    _blk, number, place = name.split(".")
    layer = model.get_submodule(f"base_model.model.model.layers.{number}.{NAMES[place]}")
    change: Tensor = layer.get_delta_weight("default").detach()
    if place not in HEADS:
        return change
    heads = HEADS[place]
    halves = change.reshape(heads, 2, change.shape[0] // heads // 2, change.shape[1])
    return halves.swapaxes(1, 2).reshape(change.shape)


@pytest.mark.parametrize(
    "cell",
    [cell_of(), cell_of(variant="rslora"), cell_of(init="pissa"), cell_of(init="pissa", variant="rslora")],
    ids=str,
)
def test_the_adapter_in_gguf_changes_the_weights_as_peft_does(cell: Cell, tmp_path: Path) -> None:
    run, out = done(cell), tmp_path / "adapter.gguf"
    process = convert(run.adapter, run.base, out)
    assert process.returncode == 0, process.stderr
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(run.base), run.adapter)
    changes = changes_there(out)
    assert len(changes) == 2 * len(NAMES)
    for name, change in changes.items():
        torch.testing.assert_close(change, change_here(model, name), rtol=1e-4, atol=1e-5)
    assert any(change.abs().max() > 0.01 for change in changes.values())


def test_dora_is_refused_there_as_our_table_says(tmp_path: Path) -> None:
    """Only merged: see the table of what each method can do."""
    run, out = done(cell_of(variant="dora")), tmp_path / "adapter.gguf"
    process = convert(run.adapter, run.base, out)
    assert process.returncode != 0 and "lora_magnitude_vector" in process.stderr
    assert not out.exists()
