"""The real starters: a bottleneck adapter of ours, and its tokenizer, mean the same to AdapterHub's library."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.bottlenecks import LABELS, BottleneckCell, base_of, built, with_random_weights
from tests.interop.library import ask
from webapp.contract.base_models import STARTERS
from webapp.contract.tasks import Task
from worker.base_models.prepare import prepare
from worker.engine.methods.adapterhub import save_bottleneck
from worker.engine.save import save_tokenizer
from worker.engine.tokenizer import load_tokenizer

pytestmark = pytest.mark.interop

TASKS: dict[str, Task] = {"smollm2-135m-instruct": "generate", "minilm-l6": "classify"}
TEXT = "The kitten is napping on the couch."


@pytest.fixture(scope="module", params=sorted(STARTERS))
def starter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Task]:
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    prepare(STARTERS[request.param], folder, lambda _event: None)
    return folder, TASKS[request.param]


@pytest.mark.parametrize("placement", ["pfeiffer", "houlsby"])
def test_ours_says_the_same_there(starter: tuple[Path, Task], placement: str, tmp_path: Path) -> None:
    base, task = starter
    cell = BottleneckCell("", task, placement)
    model = with_random_weights(built(cell, base), std=0.02).eval()
    save_bottleneck(model, tmp_path, "some/base")
    tokenizer = load_tokenizer(base, task)
    save_tokenizer(tokenizer, tmp_path)
    ids = tokenizer(TEXT)["input_ids"]
    order: dict[str, Any] = {
        "base": str(base),
        "class": type(model).__name__,
        "num_labels": len(LABELS) if cell.has_head else 0,
        "inputs": {"input_ids": [ids]},
        "adapter": str(tmp_path),
        "makes": None,
        "tokenizer": str(tmp_path),
        "text": TEXT,
    }
    (told,) = ask([order])
    with torch.no_grad():
        here = model(input_ids=torch.tensor([ids])).logits
        bare = base_of(cell, base)(input_ids=torch.tensor([ids])).logits
    there = torch.tensor(told["logits"])
    torch.testing.assert_close(here, there, rtol=0, atol=1e-4)
    assert (here - bare).abs().max() > 0.01
    assert told["ids"] == ids
