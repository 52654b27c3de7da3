"""Training itself: gradients that do not depend on how a step is cut, the best weights kept, no step into nonsense."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny import capitals, make_llama, tiny_recipe
from webapp.contract.events import Evaluated, Event, Stepped
from webapp.contract.job_dir import Facts, Options
from webapp.contract.recipe import Recipe
from webapp.contract.rows import Message
from worker.engine.encode import Encoded, encode_chat
from worker.engine.errors import TrainingError
from worker.engine.fit import LOOKS, ROWS_A_WATCHED_ROW, Fit, steps_between_looks
from worker.engine.forward import Model
from worker.engine.inputs import Inputs
from worker.engine.measure import mean_loss
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base
from worker.engine.shelf import Shelf
from worker.engine.step import step_loss
from worker.engine.stop import never
from worker.engine.tokenizer import load_tokenizer
from worker.engine.training import Standing, Training

FP32 = Place(torch.device("cpu"), torch.float32, torch.float32)


class Rows(list[Encoded]):
    @property
    def lengths(self) -> list[int]:
        return [len(row.ids) for row in self]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_llama(tmp_path / "base")


def model_of(base: Path, recipe: Recipe) -> Model:
    torch.manual_seed(recipe.seed)
    return ENGINE_METHODS[recipe.method].build(load_base(base, "generate", FP32, []), recipe, base)


def rows_of(base: Path) -> Rows:
    tokenizer = load_tokenizer(base, "generate")
    turns = [[Message(role="user", content=one), Message(role="assistant", content=two)] for one, two in capitals(24)]
    return Rows(encode_chat(tokenizer, messages, 64) for messages in turns)


def fit(model: Model, rows: Rows, recipe: Recipe, folder: Path, report: Callable[[Event], None]) -> Training:
    """Train on all rows, watch the first eight."""
    job_rows: Any = SimpleNamespace(train=rows, validation=rows[:8])
    facts = Facts(
        name="Tiny", base_model_title="Tiny", base_model_reference="tiny", base_model_licence="none",
        dataset_name="Rows v1", split_sha256="0" * 64,
    )  # fmt: skip
    inputs = Inputs(folder, recipe, facts, Options())
    training = Training(model, recipe, Standing(), began=time.monotonic())
    shelf = Shelf(inputs, report)
    Fit(training, job_rows, inputs, shelf=shelf, wanted=never, report=report).run()
    return training


def train(model: Model, rows: Rows, recipe: Recipe, folder: Path) -> tuple[Training, list[Event]]:
    told: list[Event] = []
    return fit(model, rows, recipe, folder, told.append), told


def test_a_step_cut_in_pieces_has_the_same_gradient(base: Path) -> None:
    recipe, rows = tiny_recipe(base), rows_of(base)
    model = model_of(base, recipe)
    found = []
    for budget in (4096, 20):
        model.zero_grad()
        loss = step_loss(model, rows[:8], budget).item()
        found.append((loss, [weight.grad.clone() for weight in model.parameters() if weight.requires_grad]))
    (whole, whole_gradients), (pieces, piece_gradients) = found
    assert whole == pytest.approx(pieces, rel=1e-5)
    for one, two in zip(whole_gradients, piece_gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-7)


def test_the_loss_falls_far_on_rows_seen_again_and_again(base: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(base, epochs=30, learning_rate=0.03, rank=16)
    _training, told = train(model_of(base, recipe), rows_of(base), recipe, tmp_path)
    losses = [event.loss for event in told if isinstance(event, Stepped)]
    assert losses[0] > 4 and min(losses[-5:]) < 0.5 * losses[0]


def test_the_best_weights_are_kept_not_the_last(base: Path, tmp_path: Path) -> None:
    """Of a training that helps until half of it is over, and is spoilt at each look from then on."""
    recipe = tiny_recipe(base, epochs=6)
    model, rows = model_of(base, recipe), rows_of(base)
    told: list[Event] = []

    def spoil(event: Event) -> None:
        told.append(event)
        if isinstance(event, Evaluated) and event.epoch >= 3:
            with torch.no_grad():
                for weight in model.parameters():
                    if weight.requires_grad:
                        weight.normal_()

    training = fit(model, rows, recipe, tmp_path, spoil)
    watched = [event for event in told if isinstance(event, Evaluated)]
    training.end()
    assert mean_loss(model, rows[:8]) == pytest.approx(min(event.loss for event in watched), rel=1e-5)
    assert watched[0].loss > min(event.loss for event in watched) < watched[-1].loss
    assert [event.loss for event in watched if event.is_best] == sorted(
        {event.loss for event in watched if event.is_best}, reverse=True
    )


def test_a_rate_far_too_high_ends_with_a_remedy(base: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(base)
    wild = recipe.model_copy(update={"knobs": {**recipe.knobs, "learning_rate": 1e30}})
    told: list[Event] = []
    with pytest.raises(TrainingError, match=r"no longer a number at step \d+.*Lower the learning rate") as caught:
        fit(model_of(base, wild), rows_of(base), wild, tmp_path, told.append)
    assert caught.value.code == "loss_not_finite"
    # Whatever was told before is a number, so that every line of the events can be read again.
    assert all("null" not in event.model_dump_json(exclude={"seconds_left", "forgetting"}) for event in told)


@pytest.mark.parametrize(("num_train", "num_validation", "batch_size", "epochs"), [
    (42, 6, 8, 10), (420, 60, 8, 10), (70_000, 100, 16, 1),
])  # fmt: skip
def test_looks_come_often_enough_to_end_early_and_cost_less_than_a_tenth(
    num_train: int, num_validation: int, batch_size: int, epochs: int
) -> None:
    steps_an_epoch = -(-num_train // batch_size)
    total = steps_an_epoch * epochs
    every = steps_between_looks(steps_an_epoch, total, num_validation, batch_size)
    assert total / every >= LOOKS - 1
    assert every * batch_size >= ROWS_A_WATCHED_ROW * num_validation
