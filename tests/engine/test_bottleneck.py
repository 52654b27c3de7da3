"""Bottleneck adapters: nothing at the start, only their own weights trained, and AdapterHub's files on the disk."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.engine.bottlenecks import CELLS, IDS, BottleneckCell, base_of, built, logits_of, with_random_weights
from webapp.contract.costs import trained_params
from webapp.contract.model_folder import read_model_folder
from worker.engine.forward import Model, mixed_precision
from worker.engine.methods.adapterhub import load_bottleneck, save_bottleneck, start_from_bottleneck
from worker.engine.methods.bottleneck import NAME

GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parent / "adapterhub_modules.json").read_text())
"""What AdapterHub's library calls its modules; tests/interop asks it whether that is still so."""

PRECISIONS = [(cell, torch.float32) for cell in CELLS] + [(cell, torch.bfloat16) for cell in CELLS if not cell.has_head]
"""The engine computes in bf16 only where there is no head."""

ENDINGS = ("adapter_down.0.bias", "adapter_down.0.weight", "adapter_up.bias", "adapter_up.weight")


@pytest.fixture(params=CELLS, ids=str)
def cell(request: pytest.FixtureRequest) -> BottleneckCell:
    chosen: BottleneckCell = request.param
    return chosen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the base model, which is made in it when it is first asked for."""
    return tmp_path / "base"


def trained(model: Model) -> dict[str, Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def saved(model: Model, folder: Path) -> Path:
    folder.mkdir()
    save_bottleneck(model, folder, "some/base")
    return folder


def test_at_the_start_it_changes_nothing(cell: BottleneckCell, folder: Path) -> None:
    assert torch.equal(logits_of(built(cell, folder)), logits_of(base_of(cell, folder)))


def test_its_weights_have_adapterhub_s_names_and_only_they_and_the_head_are_trained(
    cell: BottleneckCell, folder: Path
) -> None:
    names = {
        f"{module}.adapters.{NAME}.{ending}" for module in GOLDEN[f"{cell.kind}-{cell.placement}"] for ending in ENDINGS
    }
    head = {name for name in trained(base_of(cell, folder).requires_grad_(True)) if name[:5] in ("class", "score")}
    assert bool(head) == cell.has_head
    assert set(trained(built(cell, folder))) == names | head


def test_the_contract_counts_its_weights(cell: BottleneckCell, folder: Path) -> None:
    counted = sum(one.numel() for name, one in trained(built(cell, folder)).items() if f".{NAME}." in name)
    knobs = {"placement": cell.placement, "reduction_factor": 4}
    assert counted == trained_params("bottleneck", knobs, read_model_folder(folder).shape)


@pytest.mark.parametrize(("cell", "dtype"), PRECISIONS, ids=str)
def test_steps_lower_the_loss_and_leave_the_base_as_it_is(
    cell: BottleneckCell, folder: Path, dtype: torch.dtype
) -> None:
    model = built(cell, folder, dtype)
    before = {name: one.clone() for name, one in model.named_parameters() if not one.requires_grad}
    assert {one.dtype for one in before.values()} == {dtype}
    assert {one.dtype for one in trained(model).values()} == {torch.float32}
    optimizer = torch.optim.AdamW(trained(model).values(), lr=0.01)
    losses = []
    for _step in range(6):
        with mixed_precision(model):
            loss = model(input_ids=IDS, labels=cell.labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(model.get_parameter(name), one) for name, one in before.items())


@pytest.mark.parametrize(("cell", "dtype"), PRECISIONS, ids=str)
def test_saved_and_loaded_it_says_the_same(cell: BottleneckCell, folder: Path, dtype: torch.dtype) -> None:
    model = with_random_weights(built(cell, folder, dtype))
    loaded = load_bottleneck(base_of(cell, folder, dtype), saved(model, folder.parent / "adapter"))
    assert torch.equal(logits_of(loaded), logits_of(model))
    assert not torch.allclose(logits_of(loaded), logits_of(base_of(cell, folder, dtype)), atol=0.1)
    assert trained(loaded) == {} and not loaded.training


def test_training_goes_on_from_an_adapter_of_any_name(cell: BottleneckCell, folder: Path) -> None:
    model = with_random_weights(built(cell, folder))
    adapter = saved(model, folder.parent / "adapter")
    renamed = {
        name.replace(NAME, "theirs"): weight for name, weight in load_file(adapter / "adapter.safetensors").items()
    }
    save_file(renamed, adapter / "adapter.safetensors")
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "name": "theirs"}))
    fresh = built(cell, folder)
    start_from_bottleneck(fresh, adapter)
    assert torch.equal(logits_of(fresh), logits_of(model))
    assert set(trained(fresh)) == set(trained(model))


def test_it_ships_no_pickle_and_the_head_in_files_of_its_own(cell: BottleneckCell, folder: Path) -> None:
    adapter = saved(built(cell, folder), folder.parent / "adapter")
    head = {"head_config.json", "model_head.safetensors"} if cell.has_head else set()
    assert {path.name for path in adapter.iterdir()} == {"adapter_config.json", "adapter.safetensors"} | head
    if head:
        told = json.loads((adapter / "head_config.json").read_text())
        assert told["label2id"] == {"yes": 0, "no": 1, "neither": 2} and told["num_labels"] == 3


@pytest.mark.parametrize("cell", [cell for cell in CELLS if not cell.has_head], ids=str)
def test_it_writes_the_same_with_and_without_a_cache(cell: BottleneckCell, folder: Path) -> None:
    model = with_random_weights(built(cell, folder))
    answers = [model.generate(IDS, max_new_tokens=12, min_new_tokens=12, use_cache=uses) for uses in (True, False)]
    assert torch.equal(*answers)


def test_gradients_are_the_same_if_memory_is_saved(cell: BottleneckCell, folder: Path) -> None:
    gradients = []
    for saves in (False, True):
        model = with_random_weights(built(cell, folder))
        if saves:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.train()
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        model(input_ids=IDS, labels=cell.labels).loss.backward()
        gradients.append([weight.grad for weight in trained(model).values()])
    torch.testing.assert_close(*gradients)


def test_a_kind_of_adapter_that_is_not_known_is_refused(folder: Path) -> None:
    cell = CELLS[0]
    adapter = saved(built(cell, folder), folder.parent / "adapter")
    path = adapter / "adapter_config.json"
    told = json.loads(path.read_text())
    for changed in ({"is_parallel": True}, {"scaling": 4.0}, {"reduction_factor": {"1": 8, "default": 16}}):
        path.write_text(json.dumps({**told, "config": told["config"] | changed}))
        with pytest.raises(ValueError, match="neither of Pfeiffer's kind nor of Houlsby's"):
            load_bottleneck(base_of(cell, folder), adapter)
