import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from webapp.contract.base_models import STARTERS
from webapp.contract.methods import METHODS, knobs_of
from webapp.contract.model_shape import TASKS_OF_FAMILY
from webapp.contract.presets import auto_knobs
from webapp.contract.recipe import Recipe


def recipe(**changes: Any) -> dict[str, Any]:
    shape = STARTERS["smollm2-135m-instruct"].shape
    whole = {
        "task": "generate",
        "base_model": "smollm2-135m-instruct",
        "method": "lora",
        "knobs": auto_knobs("lora", "generate", shape, 300),
    }
    return {**whole, **changes}


def with_knob(name: str, value: Any) -> dict[str, Any]:
    whole = recipe()
    return {**whole, "knobs": {**whole["knobs"], name: value}}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_rows", [10, 300, 100_000])
def test_auto_is_always_a_valid_recipe(method: str, num_rows: int) -> None:
    for starter in STARTERS.values():
        for task in TASKS_OF_FAMILY[starter.shape.family]:
            knobs = auto_knobs(method, task, starter.shape, num_rows)
            Recipe(task=task, base_model=starter.id, method=method, knobs=knobs)


def test_it_survives_the_way_to_a_file_and_back() -> None:
    made = Recipe.model_validate(recipe())
    assert Recipe.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0, -1.0, 2, "1e-4", None, True, [1]])
def test_it_refuses_a_learning_rate_that_is_none(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"Learning rate|knobs\.learning_rate"):
        Recipe.model_validate(with_knob("learning_rate", value))


@pytest.mark.parametrize("value", [0, 1.0, True, "8", 257, 10**400])
def test_it_refuses_a_rank_that_is_no_whole_number_in_range(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"Rank|knobs\.rank"):
        Recipe.model_validate(with_knob("rank", value))


def test_it_refuses_nan_in_json() -> None:
    text = json.dumps(with_knob("learning_rate", math.nan))
    with pytest.raises(ValidationError, match="Learning rate"):
        Recipe.model_validate_json(text)


def test_it_names_the_nearest_field() -> None:
    with pytest.raises(ValidationError, match=r"Unknown recipe field “metod”\. Did you mean “method”\?"):
        Recipe.model_validate(recipe(metod="lora"))


def test_it_names_the_nearest_knob() -> None:
    with pytest.raises(ValidationError, match=r"Unknown setting “learning_rat”\. Did you mean “learning_rate”\?"):
        Recipe.model_validate(with_knob("learning_rat", 0.1))


@pytest.mark.parametrize("name", ["state", "owner", "output_dir", "attempt"])
def test_it_has_no_field_for_what_is_ours(name: str) -> None:
    with pytest.raises(ValidationError, match="Unknown recipe field"):
        Recipe.model_validate(recipe(**{name: "x"}))


def test_it_tells_all_problems_at_once() -> None:
    whole = with_knob("rank", 0)
    whole["knobs"]["dropout"] = 1.5
    with pytest.raises(ValidationError, match=r"Rank.*Dropout"):
        Recipe.model_validate(whole)


@pytest.mark.parametrize("base_model", ["../x", "/etc/passwd", "a b", "", "x" * 101, "http://evil"])
def test_it_refuses_a_base_model_that_is_no_name(base_model: str) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(recipe(base_model=base_model))


def test_every_knob_has_a_sentence() -> None:
    for method in METHODS:
        for knob in knobs_of(method):
            assert knob.sentence.endswith("."), knob.name
