"""AdapterHub's library and we read each other's bottleneck adapters, and compute the same with them."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.engine.bottlenecks import (
    CELLS,
    LABELS,
    BottleneckCell,
    base_of,
    built,
    inputs_of,
    logits_of,
    with_random_weights,
)
from tests.interop.library import ask
from tests.tiny import make_bert_without_pooler
from worker.engine.methods.adapterhub import load_bottleneck, save_bottleneck
from worker.engine.methods.bottleneck import NAME
from worker.engine.methods.full import save_full

pytestmark = pytest.mark.interop

KINDS = {"pfeiffer": "seq_bn", "houlsby": "double_seq_bn"}
GOLDEN = Path(__file__).parent.parent / "engine" / "adapterhub_modules.json"


class Met(NamedTuple):
    """A cell's adapter of ours, and one of theirs, each with what both libraries say."""

    cell: BottleneckCell
    folder: Path
    ours: dict[str, Any]
    theirs: dict[str, Any]


@pytest.fixture(scope="module")
def all_met(tmp_path_factory: pytest.TempPathFactory) -> dict[BottleneckCell, Met]:
    folders = {cell: tmp_path_factory.mktemp("met") for cell in CELLS}
    orders = [order for cell, folder in folders.items() for order in orders_of(cell, folder)]
    told = ask(orders)
    pairs = zip(CELLS, told[::2], told[1::2], strict=True)
    return {cell: Met(cell, folders[cell], ours, theirs) for cell, ours, theirs in pairs}


def orders_of(cell: BottleneckCell, folder: Path) -> list[dict[str, Any]]:
    """To load an adapter of ours, and to make one like it. The base is handed over as a full fine-tuning would be."""
    model = with_random_weights(built(cell, folder / "base"))
    (folder / "ours").mkdir()
    save_bottleneck(model, folder / "ours", "some/base")
    base = base_of(cell, folder / "base")
    save_full(base, folder / "handed", "some/base")
    order = {
        "base": str(folder / "handed"),
        "class": type(base).__name__,
        "num_labels": len(LABELS) if cell.has_head else 0,
        "inputs": {name: ids.tolist() for name, ids in inputs_of(base).items()},
    }
    return [
        {**order, "adapter": str(folder / "ours"), "makes": None},
        {**order, "adapter": str(folder / "theirs"), "makes": KINDS[cell.placement]},
    ]


@pytest.fixture(params=CELLS, ids=str)
def met(request: pytest.FixtureRequest, all_met: dict[BottleneckCell, Met]) -> Met:
    return all_met[request.param]


def assert_same(ours: Tensor, theirs: Any) -> None:
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=0, atol=1e-4)


def test_a_whole_model_of_ours_says_the_same_there(met: Met) -> None:
    assert_same(logits_of(base_of(met.cell, met.folder / "base")), met.ours["bare"])


def test_an_adapter_of_ours_says_the_same_there(met: Met) -> None:
    model = load_bottleneck(base_of(met.cell, met.folder / "base"), met.folder / "ours")
    assert_same(logits_of(model), met.ours["logits"])
    assert (torch.tensor(met.ours["logits"]) - torch.tensor(met.ours["bare"])).abs().max() > 0.1


def test_an_adapter_of_theirs_says_the_same_here(met: Met) -> None:
    model = load_bottleneck(base_of(met.cell, met.folder / "base"), met.folder / "theirs")
    assert_same(logits_of(model), met.theirs["logits"])
    assert (torch.tensor(met.theirs["logits"]) - torch.tensor(met.theirs["bare"])).abs().max() > 0.1


def test_the_head_brings_its_labels(met: Met) -> None:
    if met.cell.has_head:
        assert met.ours["labels"] == {str(number): label for number, label in enumerate(LABELS)}


def test_both_write_the_same_files_with_the_same_words(met: Met) -> None:
    """theirs have adapter_interface.json as well where the library knows a type by a description alone; it does not
    read it for those it brings."""
    ours, theirs = ({path.name: path for path in (met.folder / folder).iterdir()} for folder in ("ours", "theirs"))
    assert ours.keys() == theirs.keys() - {"adapter_interface.json"}
    for name, path in ours.items():
        if name.endswith(".safetensors"):
            renamed = {key.replace(".theirs.", f".{NAME}.") for key in load_file(theirs[name])}
            assert set(load_file(path)) == renamed
        else:
            assert words_of(path) == words_of(theirs[name])


def words_of(path: Path) -> dict[str, Any]:
    """Without the names, and how weights are begun with, which is ours to choose."""
    told: dict[str, Any] = json.loads(path.read_text())
    (told["config"] or {}).pop("init_weights", None)
    return {name: value for name, value in told.items() if name not in ("name", "model_name")}


def test_the_golden_names_are_theirs(met: Met) -> None:
    names = load_file(met.folder / "theirs" / "adapter.safetensors")
    modules = {re.sub(r"\.adapters\.theirs\..*", "", name) for name in names}
    assert sorted(modules) == json.loads(GOLDEN.read_text())[f"{met.cell.kind}-{met.cell.placement}"]


def test_a_pooler_that_the_base_lacks_comes_with_the_adapter(tmp_path: Path) -> None:
    base = make_bert_without_pooler(tmp_path / "base")
    model = with_random_weights(built(BottleneckCell("bert", "classify", "pfeiffer"), base))
    (tmp_path / "ours").mkdir()
    save_bottleneck(model, tmp_path / "ours", "some/base")
    order = {"base": str(base), "class": type(model).__name__, "num_labels": len(LABELS), "makes": None}
    inputs = {name: ids.tolist() for name, ids in inputs_of(model).items()}
    (told,) = ask([{**order, "inputs": inputs, "adapter": str(tmp_path / "ours")}])
    assert_same(logits_of(model), told["logits"])
