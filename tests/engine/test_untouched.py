"""The base model, measured after training, is to the last bit what it was before anything was put into it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.cells import CELLS, Cell, knobs_of_cell
from tests.engine.here import lay_job
from tests.engine.runs import MAKERS
from tests.engine.test_precision import halved
from tests.tiny import make_llama
from webapp.contract.job_dir import BASE_MODEL
from webapp.contract.recipe import Recipe
from worker.engine.forgetting import GeneralTexts
from worker.engine.forward import Model
from worker.engine.inputs import read_inputs
from worker.engine.measure import measure
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, choose_place, load_base
from worker.engine.rows import JobRows, read_rows
from worker.engine.tokenizer import load_tokenizer
from worker.engine.training import Standing, Training
from worker.engine.untouched import InFile, Untouched

IN_PLACE = ("full", "freezing")


class Case:
    """A job's model, first as it was loaded, then spoilt as no training would spoil it."""

    def __init__(self, job_dir: Path, *, place: Place | None = None) -> None:
        self.recipe: Recipe = read_inputs(job_dir).recipe
        self.task, self.folder = self.recipe.task, job_dir / BASE_MODEL
        self.tokenizer = load_tokenizer(self.folder, self.task)
        self.rows: JobRows = read_rows(job_dir, self.recipe, self.tokenizer)
        self.place = place or choose_place(self.folder, self.task)
        is_quantised = self.recipe.knobs.get("quantised") == "4bit"
        self.base = load_base(self.folder, self.task, self.place, self.rows.labels, is_quantised=is_quantised)
        self.texts = GeneralTexts(self.base, self.tokenizer, self.task)

    def figures(self, model: Model) -> tuple[list[str], list[float], list[list[float]]]:
        """All that a verdict knows of a model: answers, losses, what it makes of general texts."""
        found = measure(
            model, self.tokenizer, self.rows.test[:4], labels=self.rows.labels, max_new_tokens=4, divisor=1,
            heed=lambda: None, progress=lambda _done: None,
        )  # fmt: skip
        return found.answers, found.losses.tolist(), self.texts.read(model, slice(None, None, 12))

    def built(self) -> tuple[Model, Untouched]:
        own = list(self.base.named_parameters())
        model = ENGINE_METHODS[self.recipe.method].build(self.base, self.recipe, self.folder)
        return model, Untouched(model, own, self.folder, self.place.dtype)

    def spoil(self, model: Model) -> None:
        torch.manual_seed(1)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight += 0.5 * torch.randn_like(weight)
        ENGINE_METHODS[self.recipe.method].settle(model, self.place.dtype)


@pytest.fixture(params=CELLS, ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    cell: Cell = request.param
    return Case(lay_job(tmp_path, task=cell.task, method=cell.method, kind=cell.kind, **knobs_of_cell(cell)))


def test_the_base_measured_after_training_is_the_one_from_before(case: Case) -> None:
    assert_untouched(case)


def assert_untouched(case: Case) -> None:
    before = case.figures(case.base)
    model, untouched = case.built()
    case.spoil(model)
    tuned = case.figures(model)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    with untouched.base() as base:
        assert case.figures(base) == before
    assert tuned != before
    assert case.figures(model) == tuned
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == trained


@pytest.mark.parametrize("method", ["lora", "bottleneck", "prefix_tuning", *IN_PLACE])
def test_so_is_a_base_that_computes_in_16_bits(method: str, tmp_path: Path) -> None:
    base = halved(make_llama(tmp_path / "base"))
    place = Place(torch.device("cpu"), torch.bfloat16, torch.bfloat16)
    knobs: dict[str, Any] = {"num_blocks": 1} if method == "freezing" else {}
    assert base.exists()
    assert_untouched(Case(lay_job(tmp_path, method=method, **knobs), place=place))


def test_so_is_a_base_in_4_bits(tmp_path: Path) -> None:
    make_llama(tmp_path / "base", hidden_size=64, intermediate_size=128)
    assert_untouched(Case(lay_job(tmp_path, quantised="4bit")))


@pytest.mark.parametrize("kind", MAKERS)
def test_no_second_copy_is_kept_of_what_the_model_s_files_hold(kind: str, tmp_path: Path) -> None:
    task = {"llama": "generate", "gpt2": "generate", "t5": "transform"}.get(kind, "classify")
    case = Case(lay_job(tmp_path, task=task, method="full", kind=kind))
    _model, untouched = case.built()
    copied = {name for name, first in untouched._first.items() if not isinstance(first, InFile)}
    assert {name.split(".")[0] for name in copied if ".pooler." not in name} <= {"classifier"}
    assert any(".pooler." in name for name in copied) == (kind == "bert without pooler")


def test_a_look_in_the_middle_of_training_leaves_no_trace(tmp_path: Path) -> None:
    """The very tensors that the optimizer knows are there again, in fp32, with the numbers they had."""
    case = Case(lay_job(tmp_path, method="full"))
    model, untouched = case.built()
    case.place = Place(torch.device("cpu"), torch.float32, torch.float32)
    case.spoil(model)
    training = Training(model, case.recipe, Standing(), began=0)
    before = {name: (weight.data_ptr(), weight.detach().clone()) for name, weight in training.trainable.items()}
    with untouched.base() as base:
        assert not torch.equal(base.get_output_embeddings().weight, before["model.embed_tokens.weight"][1])
    for name, weight in training.trainable.items():
        address, numbers = before[name]
        assert weight.data_ptr() == address and weight.requires_grad
        assert torch.equal(weight, numbers)


def test_the_best_weights_put_in_for_a_look_come_out_again(tmp_path: Path) -> None:
    case = Case(lay_job(tmp_path))
    model, _untouched = case.built()
    start = case.figures(model)
    training = Training(model, case.recipe, Standing(), began=0)
    case.spoil(model)
    spoilt = case.figures(model)
    with training.best_in_place():
        assert case.figures(model) == start
    assert case.figures(model) == spoilt != start
    assert np.isfinite(spoilt[1]).all()
