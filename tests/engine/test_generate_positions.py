"""A GPT-2 has a table of positions: what it writes must end before the table does."""

from pathlib import Path

import pytest

from tests.engine.here import Attempt
from tests.tiny import lay_job_dir, make_gpt2, tiny_recipe


@pytest.mark.parametrize("method", ["lora", "prefix_tuning", "prompt_tuning"])
def test_long_prompts_beside_long_answers_are_measured_all_the_same(method: str, tmp_path: Path) -> None:
    base = make_gpt2(tmp_path / "base")
    rows = [("a" * (220 + number % 10) + str(number), "b") for number in range(20)]
    rows += [(f"hi {number}", "c" * 200) for number in range(20)]
    recipe = tiny_recipe(base, method=method, epochs=1, max_length=236)
    attempt = Attempt(lay_job_dir(tmp_path / "job", recipe, rows, base))
    assert attempt.exit_code == 0, attempt.events[-1]
