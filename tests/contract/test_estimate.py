"""What a job will need: figures that move the right way, and that the engine's own measurements bear out."""

from typing import Any

import pytest

from tests.bench.estimates import Measured, read_measured
from webapp.contract import memory_estimate as memory
from webapp.contract import work as job
from webapp.contract.base_models import STARTERS
from webapp.contract.capabilities import impossible
from webapp.contract.memory_estimate import memory_bytes
from webapp.contract.methods import METHODS
from webapp.contract.model_shape import BlockCounts, ModelShape
from webapp.contract.presets import auto_knobs
from webapp.contract.split import SplitSizes
from webapp.contract.time_estimate import work_seconds
from webapp.contract.work import Hardware, Work
from worker.engine import batches, generate
from worker.engine.levers import packed_attention

SIZES = SplitSizes(700, 100, 200)
OTHER = {
    "hidden_size": 512, "intermediate_size": 2048, "num_layers": 6, "num_heads": 8, "num_kv_heads": 8,
    "vocab_size": 32_000, "max_length": 512, "num_params": 60_000_000, "size_bytes": 240_000_000,
    "block": BlockCounts(params=3_000_000, norms=1_024, biases=4_608),
}  # fmt: skip
"""Numbers of a small GPT-2 or T5."""


def work(method: str = "lora", model: str = "smollm2-135m-instruct", **changed: Any) -> Work:
    task: Any = "generate" if model.startswith("smollm2") else "classify"
    shape = STARTERS[model].shape
    fields = {
        "task": task, "method": method, "shape": shape, "num_labels": 3, "sizes": SIZES, "mean_tokens": 200,
        "longest_tokens": 900, "answer_tokens": 20,
    }  # fmt: skip
    knobs = {**auto_knobs(method, task, shape, SIZES.train), **changed.pop("knobs", {})}
    return Work.model_validate({**fields, "knobs": knobs, **changed})


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("model", STARTERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_estimated(method: str, model: str, kind: Any) -> None:
    one = work(method, model)
    assert impossible(method, one.shape.family, one.task) is None
    assert memory_bytes(one, kind) > one.shape.num_params
    assert work_seconds(one, Hardware(kind)) > 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("family", "task", "num_decoder_layers"), [("gpt2", "generate", 0), ("t5", "transform", 6)])
def test_every_family_can_be_estimated(method: str, family: str, task: str, num_decoder_layers: int) -> None:
    shape = ModelShape.model_validate({**OTHER, "family": family, "num_decoder_layers": num_decoder_layers})
    knobs = auto_knobs(method, task, shape, SIZES.train)  # type: ignore[arg-type]
    one = work(method, shape=shape, task=task).model_copy(update={"knobs": knobs})
    assert memory_bytes(one, "cpu") > shape.size_bytes
    assert work_seconds(one, Hardware("cpu")) > 1


@pytest.mark.parametrize(
    "less",
    [
        {"batch_size": 1},
        {"max_length": 128},
        {"gradient_checkpointing": "yes"},
        {"rank": 1},
        {"quantised": "4bit"},
        {"optimizer": "adamw_8bit"},
    ],
    ids=str,
)
def test_what_saves_memory_is_foretold_to_save_it(less: dict[str, Any]) -> None:
    before = work(knobs={"batch_size": 4, "rank": 64})
    after = work(knobs={"batch_size": 4, "rank": 64, **less})
    assert memory_bytes(after, "cpu") < memory_bytes(before, "cpu")


def test_full_fine_tuning_needs_more_than_an_adapter() -> None:
    assert memory_bytes(work("full"), "cpu") > memory_bytes(work("lora"), "cpu") + 10 * work().shape.num_params


def test_more_epochs_take_longer_and_ending_early_takes_less() -> None:
    one, two = work(knobs={"epochs": 1}), work(knobs={"epochs": 2})
    assert work_seconds(two, Hardware("cpu")) > 1.5 * work_seconds(one, Hardware("cpu"))
    assert work_seconds(two, Hardware("cpu"), tokens=one.tokens) == pytest.approx(work_seconds(one, Hardware("cpu")))


def test_virtual_tokens_come_on_top_of_a_row() -> None:
    assert work("prompt_tuning", knobs={"num_virtual_tokens": 50, "max_length": 100}).longest == 150


def test_there_are_measurements_by_one_thread_and_by_two() -> None:
    assert {one.num_threads for one in read_measured()} == {1, 2}


@pytest.mark.parametrize("one", read_measured(), ids=lambda one: f"{one.cell} {one.num_threads}")
def test_it_is_within_a_quarter_of_what_was_measured(one: Measured) -> None:
    assert 0.75 < memory_bytes(one.work, "cpu") / one.peak_memory_bytes < 1.25
    assert 0.75 < work_seconds(one.work, one.hardware) / one.total_seconds < 1.25


def test_more_threads_are_faster_though_not_so_many_times() -> None:
    one, eight = (work_seconds(work(), Hardware("cpu", threads)) for threads in (1, 8))
    assert one / 8 < eight < one / 2


def test_a_processor_that_multiplies_faster_is_foretold_to_be_faster_but_for_what_is_no_product() -> None:
    slow, fast = (work_seconds(work(), Hardware("cpu", 2, flops)) for flops in (1e11, 1e12))
    assert slow / 10 < fast < slow / 2
    assert work_seconds(work(), Hardware("gpu", flops_a_second=0.0)) == work_seconds(work(), Hardware("gpu"))


def test_several_cards_share_the_steps_and_several_processes_on_a_processor_its_memory() -> None:
    one = work()
    two = one.model_copy(update={"num_processes": 2})
    assert work_seconds(two, Hardware("gpu")) < work_seconds(one, Hardware("gpu"))
    assert work_seconds(two, Hardware("cpu")) == work_seconds(one, Hardware("cpu"))
    assert memory_bytes(two, "gpu") == memory_bytes(one, "gpu")
    assert memory_bytes(two, "cpu") == 2 * memory_bytes(one, "cpu")


def test_it_cuts_as_the_engine_does() -> None:
    assert memory.MICRO_BATCH_TOKENS == batches.MICRO_BATCH_TOKENS
    assert (job.ANSWERS_AT_ONCE, job.ANSWERS_TOKENS) == (generate.BATCH_ROWS, generate.BATCH_TOKENS)
    assert (memory.ATTENTION_BLOCK, memory.LONGEST_KEPT) == (
        packed_attention.BLOCK,
        packed_attention.LONGEST_KEPT,
    )
