"""The one table of what each method can do."""

from typing import Any

import pytest

from webapp.contract.capabilities import ABILITIES, ABILITIES_OF_RESULTS, CAPABILITIES, abilities_of
from webapp.contract.methods import METHODS
from webapp.contract.shortfalls import SHORTFALLS, shortfall, shortfalls_of
from webapp.contract.tasks import TASKS


def test_every_method_answers_for_every_ability() -> None:
    assert CAPABILITIES.keys() == METHODS.keys()
    assert all(can.keys() == set(ABILITIES) for can in CAPABILITIES.values())


def test_every_no_has_its_reason() -> None:
    assert [line for method in METHODS for line in abilities_of(method) if not line.yes and not line.why] == []


def test_lines_stand_in_the_order_asked_for() -> None:
    words = [line.word for line in abilities_of("lora", ABILITIES_OF_RESULTS)]
    assert words == ["Merges", "GGUF", "vLLM", "AdapterHub"]


@pytest.mark.parametrize("method", ["lora", "ia3", "freezing", "full"])
def test_nothing_runs_a_classifier_or_an_untested_family_as_gguf_or_in_vllm(method: str) -> None:
    """“GGUF: yes” stood on a BERT classifier."""

    def yes(**of_what: Any) -> set[str]:
        return {line.word for line in abilities_of(method, ("gguf", "vllm"), **of_what) if line.yes}

    assert yes(family="bert", task="classify") == yes(family="llama", task="classify") == set()
    assert yes(family="t5", task="transform") == yes(family="gpt2", task="generate") == set()
    assert yes(family="llama", task="generate") == yes()
    lines = abilities_of(method, ("gguf", "vllm"), family="bert", task="classify")
    assert all(line.why for line in lines)


def test_what_fell_short_is_told_for_its_own_task_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHORTFALLS, ("ia3", "classify"), "12 points behind LoRA on kinds of names.")
    assert shortfall("ia3", "classify") == "12 points behind LoRA on kinds of names."
    assert (shortfall("ia3", "generate"), shortfall("ia3", None)) == ("", "")
    assert shortfalls_of("ia3") == ["12 points behind LoRA on kinds of names."]


def test_only_methods_and_tasks_that_exist_fall_short() -> None:
    assert {method for method, _task in SHORTFALLS} <= METHODS.keys()
    assert {task for _method, task in SHORTFALLS} <= set(TASKS)
