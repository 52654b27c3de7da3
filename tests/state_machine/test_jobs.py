"""The services against a model of them: random histories of people, workers, crashes and zombies, on real databases."""

import random

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.state_machine.machine import Jobs

ALWAYS = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def test_every_history_is_the_models(either_database: str) -> None:
    run_state_machine_as_test(
        Jobs, settings=settings(max_examples=30, stateful_step_count=30, derandomize=True, **ALWAYS)
    )


@pytest.mark.slow
def test_many_random_histories_are_the_models(either_database: str) -> None:
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")  # noqa: T201
    once_more = settings(max_examples=150, stateful_step_count=50, phases=[Phase.generate, Phase.shrink], **ALWAYS)
    run_state_machine_as_test(seed(number)(Jobs), settings=once_more)
