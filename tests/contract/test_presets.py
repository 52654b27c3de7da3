"""Auto from few rows to many, for every method, task and kind of model."""

import pytest

from webapp.contract.capabilities import impossible, knob_conflicts, shape_conflicts
from webapp.contract.methods import METHODS, knobs_of
from webapp.contract.model_shape import TASKS_OF_FAMILY, Family, ModelShape
from webapp.contract.presets import auto_knobs
from webapp.contract.tasks import Task

ROW_COUNTS = (60, 100, 300, 1_000, 1_999, 2_000, 5_000, 20_000, 100_000)
SIZES = (4_000_000, 60_000_000, 1_000_000_000, 8_000_000_000)
CASES = [
    (method, task, family)
    for method in METHODS
    for family, tasks in TASKS_OF_FAMILY.items()
    for task in tasks
    if impossible(method, family, task) is None
]


def shape_of(family: Family, num_params: int = 60_000_000) -> ModelShape:
    return ModelShape(
        family=family, num_layers=4, num_decoder_layers=4 if family == "t5" else 0, hidden_size=64,
        intermediate_size=128, num_heads=4, num_kv_heads=4, vocab_size=1000, max_length=512, num_params=num_params,
        size_bytes=2 * num_params,
    )  # fmt: skip


@pytest.mark.parametrize(("method", "task", "family"), CASES)
def test_every_knob_has_a_value_in_bounds_that_goes_with_the_others(method: str, task: Task, family: Family) -> None:
    for num_rows in ROW_COUNTS:
        shape = shape_of(family)
        auto = auto_knobs(method, task, shape, num_rows)
        assert set(auto) == {knob.name for knob in knobs_of(method)}
        assert [knob.problem_with(auto[knob.name]) for knob in knobs_of(method)] == [None] * len(auto)
        assert not knob_conflicts(method, auto)
        assert not shape_conflicts(method, auto, shape)


@pytest.mark.parametrize(("method", "task", "family"), CASES)
def test_more_rows_never_mean_more_epochs(method: str, task: Task, family: Family) -> None:
    epochs = [int(auto_knobs(method, task, shape_of(family), num_rows)["epochs"]) for num_rows in ROW_COUNTS]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == 1


@pytest.mark.parametrize(("method", "task", "family"), CASES)
def test_few_rows_take_enough_steps_and_many_rows_not_for_ever(method: str, task: Task, family: Family) -> None:
    for num_rows in ROW_COUNTS:
        auto = auto_knobs(method, task, shape_of(family), num_rows)
        steps = int(auto["epochs"]) * num_rows / int(auto["batch_size"])
        assert 20 <= steps <= 6_300


@pytest.mark.parametrize("method", METHODS)
def test_larger_models_never_move_faster(method: str) -> None:
    rates = [float(auto_knobs(method, "generate", shape_of("llama", size), 300)["learning_rate"]) for size in SIZES]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1]


def test_training_ends_by_itself_where_it_no_longer_helps() -> None:
    for method in METHODS:
        assert int(auto_knobs(method, "classify", shape_of("bert"), 60)["patience"]) > 0


def test_it_refuses_a_method_that_is_none() -> None:
    with pytest.raises(KeyError):
        auto_knobs("magic", "generate", shape_of("llama"), 100)
