"""The samples are what their maker writes from Babel's facts, and what the catalogue says of them."""

import csv
import json

import pytest

from tests.samples.make import MAKERS
from webapp.contract.base_models import STARTERS
from webapp.contract.model_shape import TASKS_OF_FAMILY
from webapp.samples.catalogue import SAMPLES, sample_path


@pytest.mark.parametrize("sample_id", SAMPLES)
def test_a_sample_is_what_its_maker_writes(sample_id: str) -> None:
    assert sample_path(sample_id).read_text(encoding="utf-8") == MAKERS[sample_id]()


@pytest.mark.parametrize("sample_id", SAMPLES)
def test_a_sample_is_as_the_catalogue_says(sample_id: str) -> None:
    sample = SAMPLES[sample_id]
    with sample_path(sample_id).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file)) if sample.file_name.endswith(".csv") else [json.loads(line) for line in file]
    assert len(rows) == sample.num_rows >= 300
    assert set(sample.mapping.values()) <= set(rows[0])
    assert all(row[column] for row in rows for column in sample.mapping.values())
    assert sample.task in TASKS_OF_FAMILY[STARTERS[sample.base_model].shape.family]


def test_there_is_one_of_each_kind() -> None:
    kinds = {"chat" if "messages" in sample.mapping else sample.task for sample in SAMPLES.values()}
    assert kinds == {"generate", "classify", "chat"}
