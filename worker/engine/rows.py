"""The job's rows, encoded once, kept on disk in Arrow and read by number: memory stays flat in the row count."""

import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from webapp.contract.job_dir import ROWS
from webapp.contract.recipe import Recipe
from webapp.contract.rows import SPLIT_COLUMN
from webapp.contract.split import Side
from webapp.contract.tasks import Task
from worker.engine import limited
from worker.engine.encode import Encoded, RowEncoder, Tokenizer, row_encoder
from worker.engine.errors import TrainingError, is_storage_full
from worker.engine.limited import Allow, OutOfBounds, run_limited
from worker.engine.row_choice import SAMPLE_CHARACTERS

CACHE, ENCODED = "cache", "rows.arrow"
CHUNK_ROWS = 512
"""Of rows in memory at once."""

_IDS = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    {
        "line": pa.int64(), "input": pa.string(), "output": pa.string(), SPLIT_COLUMN: pa.string(),
        "ids": _IDS, "trained": pa.list_(pa.bool_()), "prompt": _IDS, "label": pa.int64(),
        "is_truncated": pa.bool_(), "target": _IDS, "opening": pa.string(),
    }
)  # fmt: skip

Numbers = NDArray[np.int64]


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
    """Rows of one side of the split: `numbers` says which of the table's."""

    def __init__(self, table: pa.Table, numbers: Numbers) -> None:
        self._numbers = numbers
        self._batches = table.to_batches()
        self._begins = np.cumsum([0, *(len(batch) for batch in self._batches)])
        self.lengths: list[int] = (_lengths(table, "ids") + _lengths(table, "target"))[numbers].tolist()

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | Sequence[Encoded]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return Encoded(*self._values(index, Encoded._fields))

    def text(self, index: int) -> RowText:
        return RowText(*self._values(index, RowText._fields))

    def _values(self, index: int, names: Sequence[str]) -> list[Any]:
        number = self._numbers[index]
        at = int(np.searchsorted(self._begins, number, "right")) - 1
        return [_plain(self._batches[at].column(name)[number - self._begins[at]]) for name in names]


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
    labels = _labels(job_dir / ROWS) if recipe.task == "classify" else []
    encode = row_encoder(recipe.task, recipe.whole("max_length"), tokenizer, labels)
    table = _encoded(job_dir / ROWS, job_dir / cache, encode, recipe.task)
    numbers = {side: _side(table, side) for side in ("train", "validation", "test")}
    train, test = numbers["train"], table.take(numbers["test"])
    return JobRows(
        **{side: EncodedRows(table, numbers[side]) for side in numbers},
        held_out=HeldOut(*(test[name].to_pylist() for name in RowText._fields)),
        labels=labels,
        common_label=_most_common(table["output"].take(train), labels) if labels else "",
        max_new_tokens=_longest_answer(table, train),
        num_truncated=pc.sum(table["is_truncated"]).as_py(),
    )


def _labels(path: Path) -> list[str]:
    return sorted({label for batch in _batches(path, ["output"]) for label in batch["output"].unique().to_pylist()})


def _encoded(path: Path, cache: Path, encode: RowEncoder, task: Task) -> pa.Table:
    """All rows, in a file that is mapped into memory: what is not looked at takes none."""
    # What an earlier run of this folder has left there may be of other rows or another recipe.
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    try:
        run_limited(partial(_encode_all, path, cache / ENCODED, encode))
    except OutOfBounds as error:
        if task == "generate":
            message = f"The base model's chat template {error.why}. Choose another base model."
            raise TrainingError("template", message) from error
        message = f"The base model's tokenizer {error.why}. Choose another base model."
        raise TrainingError("base_model", message) from error
    return pa.ipc.open_file(pa.memory_map(str(cache / ENCODED))).read_all()


def _encode_all(path: Path, encoded: Path, encode: RowEncoder, allow: Allow) -> None:
    with pa.OSFile(str(encoded), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for batch in _batches(path):
            rows = batch.to_pylist()
            allow(_seconds_for(rows), f"lines {rows[0]['line']} to {rows[-1]['line']}")
            found = [{**row, **encode(row)._asdict()} for row in rows]
            writer.write_batch(pa.RecordBatch.from_pylist(found, schema=_SCHEMA))


def _seconds_for(rows: list[dict[str, Any]]) -> int:
    """As much as a preview may take for as many characters."""
    characters = sum(len(row[name] or "") for row in rows for name in ("input", "output", "messages"))
    return limited.PROCESSOR_SECONDS * max(1, math.ceil(characters / SAMPLE_CHARACTERS))


def _batches(path: Path, columns: list[str] | None = None) -> Any:
    try:
        # Without threads, of which a forked process has none.
        yield from pq.ParquetFile(path).iter_batches(CHUNK_ROWS, columns=columns, use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        if is_storage_full(error):
            raise
        message = f"The job's rows cannot be read: {ROWS} is missing or damaged. Start the job again from its dataset."
        raise TrainingError("data", message, f"{type(error).__name__}: {error}"[:500]) from error


def _side(table: pa.Table, side: Side) -> Numbers:
    numbers = np.flatnonzero(pc.equal(table[SPLIT_COLUMN], side).to_numpy())
    if len(numbers) == 0:
        raise TrainingError("data", f"No row is left for the side “{side}” of the split. Add more different rows.")
    return numbers


def _most_common(outputs: pa.ChunkedArray, labels: list[str]) -> str:
    counts = {count["values"]: count["counts"] for count in pc.value_counts(outputs).to_pylist()}
    return max(labels, key=lambda label: counts.get(label, 0))


def _longest_answer(table: pa.Table, train: Numbers) -> int:
    """Tokens a good answer may need: the longest last answer of the training rows and a little, 256 at the most."""
    target = _lengths(table, "target")
    answers = np.where(target > 0, target, _lengths(table, "ids") - _lengths(table, "prompt"))
    return min(int(answers[train].max()) + 8, 256)


def _lengths(table: pa.Table, name: str) -> Numbers:
    lengths: Numbers = pc.list_value_length(table[name]).to_numpy().astype(np.int64)
    return lengths


def _plain(value: pa.Scalar) -> Any:
    """A list many times faster than Arrow's own way makes it."""
    return value.values.to_numpy(zero_copy_only=False).tolist() if isinstance(value, pa.ListScalar) else value.as_py()
