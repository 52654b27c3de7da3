"""A dataset's rows as a Parquet file: written in batches under another name until whole, read a page at a time."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from webapp.contract.rows import ROW_COLUMNS, Row

SCHEMA = pa.schema(zip(ROW_COLUMNS, (pa.int64(), pa.string(), pa.string(), pa.string()), strict=True))

_BATCH_ROWS = 5000
_BATCH_CHARS = 8_000_000

Cells = tuple[int, str, str, str | None]
"""Values in the order of ROW_COLUMNS."""


def cells_of(row: Row) -> Cells:
    messages = None
    if row.messages is not None:
        messages = json.dumps([message.model_dump() for message in row.messages], ensure_ascii=False)
    return row.line, row.input, row.output, messages


class RowsDamaged(Exception):
    """The rows on the disk are no longer those that were checked and saved."""


class RowsWriter:
    """Takes rows one by one. `sha256` is of what was written: the content, not its place in the person's file."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._batch: list[Cells] = []
        self._num_chars = 0
        self._digest = hashlib.sha256()

    def add(self, cells: Cells) -> None:
        self._batch.append(cells)
        self._num_chars += _note(self._digest, cells[1:])
        if len(self._batch) >= _BATCH_ROWS or self._num_chars >= _BATCH_CHARS:
            self.flush()

    def flush(self) -> None:
        if self._batch:
            columns = [pa.array(values, field.type) for values, field in zip(zip(*self._batch), SCHEMA)]  # noqa: B905
            self._writer.write_table(pa.table(columns, schema=SCHEMA))
        self._batch, self._num_chars = [], 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _note(digest: "hashlib._Hash", texts: Sequence[object]) -> int:
    """How long they were."""
    parts = [str(text or "").encode() for text in texts]
    for data in parts:
        digest.update(b"%d:" % len(data) + data)
    return sum(map(len, parts))


@contextmanager
def _rows_opened(path: Path) -> Iterator[pq.ParquetFile]:
    """What cannot be read in the block is called damaged."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RowsDamaged(f"{path} cannot be read: {error}"[:300]) from error


def rows_verify(path: Path, sha256: str) -> None:
    """Read them all and compare with what was written, batch by batch. Raises RowsDamaged."""
    digest = hashlib.sha256()
    with _rows_opened(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(ROW_COLUMNS[1:])):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                _note(digest, row)
    if digest.hexdigest() != sha256:
        raise RowsDamaged(f"{path} holds other rows than were saved.")


def rows_table(path: Path, sha256: str) -> pa.Table:
    """All of them, verified. Raises RowsDamaged."""
    rows_verify(path, sha256)
    with _rows_opened(path) as file:
        return file.read()


@contextmanager
def rows_writer(path: Path) -> Iterator[RowsWriter]:
    """The file stands at `path` once the block ends well, and nothing of it if it does not."""
    part = path.with_suffix(".writing")
    try:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
            rows = RowsWriter(writer)
            yield rows
            rows.flush()
        file_settle(part, path)
    finally:
        part.unlink(missing_ok=True)


def file_settle(part: Path, path: Path) -> None:
    """Bring a wholly written file to the disk, and give it its name."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def rows_page(path: Path, start: int, count: int) -> list[Row]:
    """Rows `start` to `start + count`, reading only the part of the file where they stand. Raises RowsDamaged."""
    rows: list[Row] = []
    with _rows_opened(path) as file:
        before = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if before + size > start and before < start + count:
                table = file.read_row_group(group, columns=list(ROW_COLUMNS))
                first = max(0, start - before)
                rows += map(_row, table.slice(first, start + count - before - first).to_pylist())
            before += size
    return rows


def row_number(path: Path, line: int) -> int | None:
    """Where the row of a line of the person's file stands, counted from 0; None if there is none. Raises
    RowsDamaged."""
    before = 0
    with _rows_opened(path) as file:
        for batch in file.iter_batches(columns=["line"]):
            at: int = batch.column(0).index(line).as_py()
            if at >= 0:
                return before + at
            before += len(batch)
    return None


def _row(cells: dict[str, object]) -> Row:
    messages = cells["messages"]
    return Row.model_validate({**cells, "messages": json.loads(messages) if isinstance(messages, str) else None})
