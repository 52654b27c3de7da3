"""The sample datasets that come with the app: files beside this module, written by tests/samples/make.py."""

from pathlib import Path
from typing import NamedTuple

from webapp.contract.tasks import Task


class Sample(NamedTuple):
    """A small dataset that shows one task, and the base model it is meant for."""

    id: str
    title: str
    sentence: str
    """What a model learns from it."""
    file_name: str
    num_rows: int
    task: Task
    base_model: str
    mapping: dict[str, str]
    """Role of a row (input, output, messages) -> column of the file."""


SAMPLES = {
    sample.id: sample
    for sample in (
        Sample(
            id="dates",
            title="Dates in six languages",
            sentence="Reads a date as people write it in six languages and answers with the ISO date, 2031-03-14.",
            file_name="dates.csv",
            num_rows=300,
            task="generate",
            base_model="smollm2-135m-instruct",
            mapping={"input": "written", "output": "iso"},
        ),
        Sample(
            id="kinds",
            title="What kind of name is it?",
            sentence="Sorts names into country, city, language, currency, unit or writing system.",
            file_name="kinds.csv",
            num_rows=600,
            task="classify",
            base_model="minilm-l6",
            mapping={"input": "name", "output": "kind"},
        ),
        Sample(
            id="money",
            title="A money desk that chats",
            sentence="Tells travellers, turn by turn and in one house style, what people pay with and how to write it.",
            file_name="money.jsonl",
            num_rows=400,
            task="generate",
            base_model="smollm2-135m-instruct",
            mapping={"messages": "messages"},
        ),
    )
}


def sample_path(sample_id: str) -> Path:
    """The sample's file. Raises KeyError for an unknown sample."""
    return Path(__file__).parent / SAMPLES[sample_id].file_name
