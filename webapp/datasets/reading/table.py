"""The rows of an uploaded file as Parquet: parsed once, and read in batches for every question asked of them later.

A column of texts for each column of the file, named by its position, and two of our own: `line`, where the row begins
in the file, and `kinds`, a letter a column for rows that hold more than texts. A reader of a further format has only to
give records; nothing below it changes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from webapp.datasets.mapping import is_chat_name
from webapp.datasets.readers import Record, Source, Value, read_rows
from webapp.datasets.readers.record import refusal
from webapp.datasets.readers.text import Counted
from webapp.datasets.reading.folder import PreviewLine, TableFacts
from webapp.datasets.rows_file import file_settle

MAX_ROWS = 2_000_000
HEAD_ROWS = 1000
NUM_FIRST_ROWS = 5
MAX_CELL_CHARS = 240
"""Of a cell in the preview."""

_GROUP_ROWS = 20_000
_GROUP_CHARS = 4_000_000
_TEXT, _NULL, _MISSING, _JSON = "t", "n", "m", "j"

Rows = Callable[[int], None]
"""Is called with the number of rows so far, now and then."""

_Line = tuple[int, str | None, list[str | None]]
"""Line, kinds (None: all are texts), cells in the order of the columns."""


class _NewColumn(Exception):
    """A row brings a column that the first rows did not have."""


def table_write(source: Source, path: Path, read: Counted, noted: Rows) -> TableFacts:
    """Read the file to its end, so that nothing in it comes as a surprise later. Raises FileRefused."""
    columns = _columns_of(islice(read_rows(source), HEAD_ROWS))
    try:
        return _written(source, columns, path, read, noted)
    except _NewColumn:
        # A Parquet file has the same columns from its first row to its last, so all names must be known before.
        columns = _columns_of(read_rows(source, read))
        return _written(source, columns, path, read, noted)


def table_records(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> Iterator[Record]:
    """Every row, with the wanted columns only. Raises pyarrow's errors where the file is damaged."""
    position = {name: at for at, name in enumerate(columns)}
    places = [position[name] for name in wanted]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["line", "kinds", *map(str, places)], use_threads=False)
            cells = [table.column(str(place)).to_pylist() for place in places]
            kinds = table.column("kinds")
            lines = table.column("line").to_pylist()
            if kinds.null_count == len(kinds):
                for line, *texts in zip(lines, *cells, strict=True):
                    yield Record(line, dict(zip(wanted, texts, strict=True)))
            else:
                for line, kind, *texts in zip(lines, kinds.to_pylist(), *cells, strict=True):
                    yield Record(line, _values(wanted, places, kind, texts))


def cell_text(value: Value) -> str:
    """A cell in a line or two."""
    text = value or "" if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CELL_CHARS else text[:MAX_CELL_CHARS] + "…"


def _written(source: Source, columns: list[str], path: Path, read: Counted, noted: Rows) -> TableFacts:
    first_rows: list[PreviewLine] = []
    num_rows = 0
    with _Writer(path, columns) as writer:
        for record in read_rows(source, read):
            num_rows += 1
            if num_rows > MAX_ROWS:
                message = f"The file has more than {MAX_ROWS:,} rows."
                raise refusal("too_many_rows", message, "Upload a part of them.", line=record.line)
            writer.add(record)
            if num_rows <= NUM_FIRST_ROWS:
                cells = [cell_text(record.values.get(column)) for column in columns]
                first_rows.append(PreviewLine(line=record.line, cells=cells))
            if num_rows % 1000 == 0:
                noted(num_rows)
        _refuse_one_column(columns, record.values)
    return TableFacts(format=source.format, columns=columns, num_rows=num_rows, first_rows=first_rows)


def _columns_of(records: Iterator[Record]) -> list[str]:
    columns: dict[str, None] = {}
    for record in records:
        if len(record.values) != len(columns) or not record.values.keys() <= columns.keys():
            columns.update(dict.fromkeys(record.values))
    return list(columns)


def _refuse_one_column(names: list[str], last: dict[str, Value]) -> None:
    if len(names) == 1 and not is_chat_name(names[0]) and not isinstance(last[names[0]], list):
        raise refusal(
            "one_column",
            f"The file has a single column, “{names[0]}”; an input and an output are needed.",
            "Separate columns by comma, semicolon, tab or bar. A single column of conversations is called messages.",
            column=names[0],
        )


class _Writer:
    """The file stands at `path` once the block ends well."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self._path, self._part = path, path.with_suffix(".writing")
        self._columns, self._known = columns, set(columns)
        texts = [(str(at), pa.string()) for at in range(len(columns))]
        self._schema = pa.schema([("line", pa.int64()), ("kinds", pa.string()), *texts])
        self._batch: list[_Line] = []
        self._num_chars = 0

    def __enter__(self) -> "_Writer":
        self._writer = pq.ParquetWriter(self._part, self._schema, compression="zstd")
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._flush()
            self._writer.close()
            if failed is None:
                file_settle(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def add(self, record: Record) -> None:
        line = self._line(record)
        self._batch.append(line)
        # An empty cell takes memory as well while it waits.
        self._num_chars += len(line[1] or "") + len(line[2]) + sum(map(len, filter(None, line[2])))
        if len(self._batch) >= _GROUP_ROWS or self._num_chars >= _GROUP_CHARS:
            self._flush()

    def _line(self, record: Record) -> _Line:
        values = record.values
        if len(values) == len(self._columns) and all(type(value) is str for value in values.values()):
            try:
                return record.line, None, [values[name] for name in self._columns]  # type: ignore[misc]
            except KeyError:
                raise _NewColumn from None
        if not values.keys() <= self._known:
            raise _NewColumn
        kinds = "".join(_kind(values, name) for name in self._columns)
        cells = [_stored(values.get(name)) for name in self._columns]
        return record.line, None if kinds.count(_TEXT) == len(kinds) else kinds, cells

    def _flush(self) -> None:
        if self._batch:
            lines, kinds, cells = zip(*self._batch, strict=True)
            columns: list[Sequence[Any]] = [lines, kinds, *zip(*cells, strict=True)]
            arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(pa.table(arrays, schema=self._schema))
        self._batch, self._num_chars = [], 0


def _kind(values: dict[str, Value], name: str) -> str:
    if name not in values:
        return _MISSING
    value = values[name]
    return _TEXT if isinstance(value, str) else _NULL if value is None else _JSON


def _stored(value: Value) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False)


def _values(
    wanted: Sequence[str], places: Sequence[int], kinds: str | None, texts: Sequence[str | None]
) -> dict[str, Value]:
    if kinds is None:
        return dict(zip(wanted, texts, strict=True))
    named = zip(wanted, places, texts, strict=True)
    return {
        name: json.loads(text) if text is not None and kinds[place] == _JSON else text
        for name, place, text in named
        if kinds[place] != _MISSING
    }
