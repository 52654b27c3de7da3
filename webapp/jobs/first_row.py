"""The first row of a dataset version, turn by turn as the model will meet it."""

import json
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from webapp.contract.tasks import Task
from webapp.datasets.models import DatasetVersion

LONGEST_SHOWN = 600


class Turn(NamedTuple):
    """`is_learnt`: the model is trained to write this; all else it only reads."""

    who: str
    text: str
    is_learnt: bool
    is_cut: bool


def first_row(version: DatasetVersion, task: Task) -> list[Turn]:
    """Empty if the rows' file is gone or damaged."""
    try:
        with pq.ParquetFile(version.rows_path) as file:
            row = next(file.iter_batches(batch_size=1)).to_pylist()[0]
    except (OSError, StopIteration, IndexError, ValueError, pa.ArrowException):
        return []
    if task == "classify":
        return [_turn("Text", row["input"], is_learnt=False), _turn("Label", row["output"], is_learnt=True)]
    if row["messages"]:
        return [
            _turn(message["role"].capitalize(), message["content"], is_learnt=message["role"] == "assistant")
            for message in json.loads(row["messages"])
        ]
    return [_turn("User", row["input"], is_learnt=False), _turn("Assistant", row["output"], is_learnt=True)]


def _turn(who: str, text: str, *, is_learnt: bool) -> Turn:
    return Turn(who, text[:LONGEST_SHOWN], is_learnt, is_cut=len(text) > LONGEST_SHOWN)
