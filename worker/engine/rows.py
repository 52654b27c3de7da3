"""The job's rows, encoded once, kept on disk in Arrow and read by number: memory stays flat in the row count."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

from datasets import Dataset, disable_progress_bars
from datasets.exceptions import DatasetGenerationError
from pyarrow import ArrowInvalid

from webapp.contract.job_dir import ROWS
from webapp.contract.recipe import Recipe
from webapp.contract.rows import SPLIT_COLUMN
from webapp.contract.split import Side
from worker.engine.encode import Encoded, Tokenizer, row_encoder
from worker.engine.errors import TrainingError, is_storage_full

CACHE = "cache"


class HeldOut(NamedTuple):
    """The rows of the verdict, as text."""

    lines: list[int]
    inputs: list[str]
    expected: list[str]


class RowText(NamedTuple):
    """One row as its owner knows it."""

    line: int
    input: str
    output: str


class EncodedRows(Sequence[Encoded]):
    """Rows of one side of the split."""

    def __init__(self, table: Any) -> None:
        self._texts = table.select_columns(list(RowText._fields))
        self._table = table.select_columns(list(Encoded._fields))
        targets = table["target"] if len(table) else []
        self.lengths: list[int] = [len(ids) + len(target) for ids, target in zip(table["ids"], targets, strict=True)]

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | Sequence[Encoded]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return Encoded(**self._table[index])

    def text(self, index: int) -> RowText:
        return RowText(**self._texts[index])


class JobRows(NamedTuple):
    """`labels` in order of the classifier's outputs, empty for generate. `held_out` are the test rows as text."""

    train: EncodedRows
    validation: EncodedRows
    test: EncodedRows
    held_out: HeldOut
    labels: list[str]
    common_label: str
    max_new_tokens: int
    num_truncated: int


def read_rows(job_dir: Path, recipe: Recipe, tokenizer: Tokenizer, *, cache: str = CACHE) -> JobRows:
    """Raises TrainingError where a side of the split has no row, or nothing of a row is left to train on. `cache`: the
    folder in the job's own in which this process keeps them."""
    table = _table(job_dir, job_dir / cache)
    labels = sorted(set(table["output"])) if recipe.task == "classify" else []
    encode = row_encoder(recipe.task, recipe.whole("max_length"), tokenizer, labels)
    table = table.map(lambda row: encode(row)._asdict(), new_fingerprint="encoded")
    sides: dict[Side, Any] = {side: _side(table, side) for side in ("train", "validation", "test")}
    train, test = sides["train"], sides["test"]
    return JobRows(
        train=EncodedRows(train),
        validation=EncodedRows(sides["validation"]),
        test=EncodedRows(test),
        held_out=HeldOut(list(test["line"]), list(test["input"]), list(test["output"])),
        labels=labels,
        common_label=max(labels, key=list(train["output"]).count) if labels else "",
        max_new_tokens=_longest_answer(train),
        num_truncated=sum(table["is_truncated"]),
    )


def _table(job_dir: Path, cache: Path) -> Any:
    disable_progress_bars()
    # What an earlier run of this folder has left there may be of other rows or another recipe.
    shutil.rmtree(cache, ignore_errors=True)
    try:
        return Dataset.from_parquet(str(job_dir / ROWS), cache_dir=str(cache))
    except (FileNotFoundError, ArrowInvalid, DatasetGenerationError) as error:
        if is_storage_full(error):
            raise
        message = f"The job's rows cannot be read: {ROWS} is missing or damaged. Start the job again from its dataset."
        raise TrainingError("data", message, f"{type(error).__name__}: {error}"[:500]) from error


def _side(table: Any, side: Side) -> Any:
    rows = table.filter(lambda value: value == side, input_columns=SPLIT_COLUMN, new_fingerprint=side)
    if len(rows) == 0:
        raise TrainingError("data", f"No row is left for the side “{side}” of the split. Add more different rows.")
    return rows


def _longest_answer(train: Any) -> int:
    """Tokens a good answer may need: the longest last answer of the training rows and a little, 256 at the most."""
    columns = zip(train["ids"], train["prompt"], train["target"], strict=True)
    longest = max(len(target) or len(ids) - len(prompt) for ids, prompt, target in columns)
    return min(longest + 8, 256)
