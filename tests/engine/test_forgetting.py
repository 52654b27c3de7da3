"""Forgetting: nothing for the untouched model, more the more its weights are spoilt, and measured at little cost."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.runs import KINDS, MAKERS
from tests.tiny import tiny_recipe
from webapp.contract.methods import METHODS
from webapp.contract.tasks import Task
from webapp.contract.verdict import Forgetting
from worker.engine.forgetting import A_FEW, TEXTS, GeneralTexts, drift, light_of
from worker.engine.forward import Model
from worker.engine.measuring import Measuring
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base
from worker.engine.step import step_loss
from worker.engine.stop import never
from worker.engine.tokenizer import load_tokenizer
from worker.engine.training import Standing
from worker.engine.untouched import Untouched

FP32 = Place(torch.device("cpu"), torch.float32, torch.float32)
IN_FRONT = {"prompt_tuning", "p_tuning", "prefix_tuning"}
TASKS: list[Task] = ["generate", "classify", "transform"]


class Case:
    """A tiny model of a task, and what it makes of the general texts before anything is done to it."""

    def __init__(self, task: Task, folder: Path, kind: str | None = None) -> None:
        self.folder = MAKERS[kind or KINDS[task]](folder / "base")
        self.task = task
        self.base: Model = load_base(self.folder, task, FP32, ["a", "b"] if task == "classify" else [])
        self.texts = GeneralTexts(self.base, load_tokenizer(self.folder, task), task)
        self.before = self.texts.read(self.base)

    def after(self, model: Model) -> Forgetting:
        return self.texts.compare(self.before, self.texts.read(model))

    @torch.no_grad()
    def spoil(self, share: float) -> None:
        torch.manual_seed(0)
        for weight in self.base.parameters():
            weight += share * weight.std() * torch.randn_like(weight) if weight.dim() > 1 else 0.0


@pytest.fixture(params=[("generate", None), ("classify", None), ("transform", None), ("classify", "llama")])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    task, kind = request.param
    return Case(task, tmp_path, kind)


def test_the_untouched_model_has_forgotten_nothing(case: Case) -> None:
    found = case.after(case.base)
    assert abs(found.difference) < 1e-6 and found.light == "green"
    assert (found.measure, found.num_texts) == ("drift" if case.task == "classify" else "loss", 60)


def test_an_adapter_that_does_nothing_yet_forgets_nothing(case: Case) -> None:
    recipe = tiny_recipe(case.folder, task=case.task, method="lora")
    assert abs(case.after(ENGINE_METHODS["lora"].build(case.base, recipe, case.folder)).difference) < 1e-6


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_of_every_method_it_can_be_told(method: str, task: Task, tmp_path: Path) -> None:
    """What changes weights begins at the base itself; what stands before the text changes it from the start."""
    case = Case(task, tmp_path)
    recipe = tiny_recipe(case.folder, task=task, method=method, **({"num_blocks": 1} if method == "freezing" else {}))
    found = case.after(ENGINE_METHODS[method].build(case.base, recipe, case.folder).eval())
    assert np.isfinite([found.base, found.tuned, found.low, found.high]).all()
    assert (abs(found.difference) < 1e-3) == (method not in IN_FRONT)


def test_drift_grows_as_the_weights_are_spoilt(tmp_path: Path) -> None:
    case = Case("classify", tmp_path)
    found = []
    for _time in range(3):
        case.spoil(0.5)
        found.append(case.after(case.base))
    differences = [one.difference for one in found]
    assert differences == sorted(differences) and differences[0] > 0.01
    assert found[-1].light != "green" and 0 < found[-1].low < found[-1].high


def test_the_loss_on_general_texts_grows_as_what_was_learnt_is_spoilt(tmp_path: Path) -> None:
    """A tiny model knows nothing to forget, so it first learns the texts."""
    case = Case("generate", tmp_path)
    case.base.requires_grad_(True)
    optimizer = torch.optim.AdamW(case.base.parameters(), lr=0.01)
    rows = case.texts._rows[A_FEW]
    for _step in range(30):
        step_loss(case.base, rows, 4096)
        optimizer.step()
        optimizer.zero_grad()
    learnt = case.after(case.base)
    assert learnt.difference < -0.5 and learnt.light == "green"
    case.before = case.texts.read(case.base)
    case.spoil(0.7)
    spoilt = case.after(case.base)
    assert spoilt.difference > 0.3 and spoilt.light == "red" and spoilt.low > 0
    assert f"{spoilt.difference:+.2f}" in spoilt.sentence and "forgotten" in spoilt.sentence


def test_a_drift_of_one_is_as_far_as_from_one_text_to_another() -> None:
    """Four directions at right angles, but for a large part that all share."""
    base = np.eye(4, 5) * 0.3 + np.eye(5)[4]
    assert drift(base, base) == pytest.approx(np.zeros(4), abs=1e-12)
    assert drift(base, 7 * base[[1, 2, 3, 0]]) == pytest.approx(np.ones(4))


@pytest.mark.parametrize(
    ("measure", "difference", "light"),
    [
        ("loss", -1.0, "green"), ("loss", 0.05, "green"), ("loss", 0.06, "yellow"), ("loss", 0.31, "red"),
        ("drift", 0.25, "green"), ("drift", 0.3, "yellow"), ("drift", 0.76, "red"),
    ],
)  # fmt: skip
def test_the_light_has_its_limits(measure: str, difference: float, light: str) -> None:
    assert light_of(measure, difference) == light


def test_the_texts_are_sixty_of_many_kinds_and_a_few_of_them_are_too() -> None:
    lines = [json.loads(line) for line in TEXTS.read_text("utf-8").splitlines()]
    assert len({line["text"] for line in lines}) == 60
    assert min(Counter(line["kind"] for line in lines).values()) >= 3
    assert len({line["kind"] for line in lines[A_FEW]}) >= 6


def watching(case: Case) -> tuple[Measuring, Model]:
    """A measuring of a job's model that is about to be trained by LoRA."""
    own = list(case.base.named_parameters())
    model = ENGINE_METHODS["lora"].build(case.base, tiny_recipe(case.folder), case.folder)
    untouched = Untouched(model, own, case.folder, FP32.dtype)
    rows: Any = SimpleNamespace(labels=[])
    return Measuring(rows, None, case.texts, untouched, 1, never, print), model


def test_while_training_it_is_looked_at_only_as_often_as_it_is_cheap(tmp_path: Path) -> None:
    case = Case("generate", tmp_path)
    measuring, model = watching(case)
    standing = Standing()
    looks = []
    for tokens in range(0, 60_000, 1_000):
        standing.tokens = tokens
        looks.append(measuring.forgetting_so_far(model, standing))
    done = [look for look in looks if look is not None]
    assert looks[0] is None and len(done) >= 3
    assert all(abs(look) < 1e-6 for look in done)
    # A token trained costs three that are only read.
    assert standing.general_tokens == len(done) * case.texts.few_tokens <= 0.05 * 3 * 60_000


def test_the_base_is_read_at_the_first_look_and_by_that_time_nothing_of_the_training_shows(tmp_path: Path) -> None:
    case = Case("generate", tmp_path)
    few = case.texts.read(case.base, A_FEW)
    measuring, model = watching(case)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight)
    standing = Standing(tokens=10**6)
    look = measuring.forgetting_so_far(model, standing)
    assert standing.base_few == few
    assert look is not None and abs(look) > 0.1


def test_what_an_older_version_has_read_before_training_is_not_read_again(tmp_path: Path) -> None:
    case = Case("generate", tmp_path)
    measuring, model = watching(case)
    standing = Standing(tokens=10**6, base_general=[[0.0]] * 60)
    assert measuring.forgetting_so_far(model, standing) == pytest.approx(
        case.texts.difference([[0.0]] * 12, case.before[A_FEW], A_FEW), abs=1e-5
    )
