"""Reading a person's file: which format it has, and its rows one by one, or one clear refusal."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

from webapp.datasets.readers.csv_rows import read_csv
from webapp.datasets.readers.json_array import read_json_array
from webapp.datasets.readers.jsonl_rows import read_jsonl
from webapp.datasets.readers.kinds import HEAD_BYTES, Encoding, encoding_of
from webapp.datasets.readers.record import FileRefused, Record, Value, refusal
from webapp.datasets.readers.text import Counted, uncounted

__all__ = ["FileRefused", "Record", "Source", "Value", "read_rows", "source_of"]

Format = Literal["csv", "jsonl", "json"]

_READERS = {"csv": read_csv, "jsonl": read_jsonl, "json": read_json_array}
_TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", "")
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


class Source(NamedTuple):
    """A file and how to read it."""

    path: Path
    format: Format
    encoding: Encoding


def source_of(path: Path, file_name: str) -> Source:
    """By its content first and its name second. Raises FileRefused for what we do not read."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise refusal("empty", "The file is empty (0 bytes).", "Choose a CSV or JSONL file with rows in it.")
    encoding = encoding_of(head)
    return Source(path, _format_of(head, encoding, PurePath(file_name).suffix.lower()), encoding)


def read_rows(source: Source, read: Counted = uncounted) -> Iterator[Record]:
    """All rows in order. Raises FileRefused, also half-way."""
    rows = _READERS[source.format](source.path, source.encoding, read)
    first = next(rows, None)
    if first is None:
        hint = "Put at least one row below the column names; a dataset needs many more."
        raise refusal("no_rows", "The file holds no row.", hint)
    yield first
    yield from rows


def _format_of(head: bytes, encoding: Encoding, suffix: str) -> Format:
    start = head[encoding.skip_bytes :].decode(encoding.name, "ignore").lstrip()[:1]
    if suffix not in (*_TABLE_SUFFIXES, *_JSON_SUFFIXES):
        likely = ".jsonl" if start in ("{", "[") else ".csv"
        raise refusal(
            "wrong_type",
            f"Files named “{suffix[:20]}” are not read; this one holds text.",
            f"If it holds rows, rename it to {likely} and upload it again.",
        )
    if start == "{":
        return "jsonl"
    if start == "[" and suffix in (".json", ".jsonl", ".ndjson", ""):
        return "json"
    return "jsonl" if suffix in _JSON_SUFFIXES and start else "csv"
