"""Comma, semicolon or tab separated rows. The first line with text names the columns."""

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from webapp.datasets.readers.kinds import Encoding
from webapp.datasets.readers.names import columns_checked
from webapp.datasets.readers.record import FileRefused, Record, refusal
from webapp.datasets.readers.text import Counted, open_text, read_lines

MAX_CELL_CHARS = 1_000_000
MAX_ROW_CHARS = 4_000_000
"""Of all lines of one row, as cells in quotes may go over several."""
DELIMITERS = (",", ";", "\t", "|")
_SWALLOWED_LINES = 20
"""A cell with this many lines that all look like rows is taken for a quote that nobody closed."""

if TYPE_CHECKING:
    from _csv import Reader

csv.field_size_limit(MAX_CELL_CHARS)


def read_csv(path: Path, encoding: Encoding, read: Counted) -> Iterator[Record]:
    """Raises FileRefused for anything that would shift texts into the wrong row or column."""
    with open_text(path, encoding, read) as text:
        lines = read_lines(text)
        skipped, first = _first_line(lines)
        delimiter = delimiter_of(first)
        bounded = _Bounded(chain([first], lines), skipped)
        reader = csv.reader(bounded, delimiter=delimiter, strict=True)
        named = next(_rows(reader, bounded, delimiter, skipped, 0), None)
        if named is None:
            raise _nothing_in_it()
        columns = columns_checked(named[1], named[0])
        for line, cells in _rows(reader, bounded, delimiter, skipped, len(columns)):
            if len(cells) != len(columns):
                raise _ragged(line, len(cells), len(columns), delimiter)
            yield Record(line, dict(zip(columns, cells, strict=True)))


def delimiter_of(header: str) -> str:
    """The candidate that stands most often outside quotes in the line of names; a comma if none does."""
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _first_line(lines: Iterator[str]) -> tuple[int, str]:
    for skipped, line in enumerate(lines):
        if line.strip():
            return skipped, line
    raise _nothing_in_it()


class _Bounded:
    """Lines for the CSV reader, which would gather a row of any size: refuses one that goes on for too long."""

    def __init__(self, lines: Iterator[str], line: int) -> None:
        self._lines = lines
        self._num_chars = 0
        self.begins = line + 1

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._num_chars += len(line)
            if self._num_chars > MAX_ROW_CHARS:
                raise _row_too_long(self.begins)
            yield line

    def row_begins(self, line: int) -> None:
        self._num_chars, self.begins = 0, line


def _rows(
    reader: "Reader", bounded: _Bounded, delimiter: str, skipped: int, width: int
) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin in; blank lines count as lines only."""
    while True:
        begins = skipped + reader.line_num + 1
        bounded.row_begins(begins)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _csv_refusal(str(error), begins, skipped + reader.line_num) from error
        if cells is None:
            return
        if width and skipped + reader.line_num - begins > _SWALLOWED_LINES:
            _refuse_swallowed(cells, delimiter, width, begins)
        if cells and (len(cells) > 1 or cells[0].strip()):
            yield begins, cells


def _nothing_in_it() -> FileRefused:
    hint = "Put the column names in the first line, rows below."
    return refusal("no_rows", "The file holds only blank lines.", hint)


def _refuse_swallowed(cells: list[str], delimiter: str, width: int, line: int) -> None:
    """Quotes may pair up by accident; then whole rows hide inside one cell."""
    for cell in cells:
        inner = cell.split("\n")[1:-1]
        if width > 1 and len(inner) >= _SWALLOWED_LINES and all(part.count(delimiter) == width - 1 for part in inner):
            raise _unclosed(line, f"The cell goes on for {len(inner) + 2} lines that look like rows.")


def _csv_refusal(error: str, begins: int, line: int) -> FileRefused:
    if error.startswith("field larger") and line == begins:
        message = f"A cell is longer than {MAX_CELL_CHARS:,} characters."
        return refusal("field_too_long", message, "Shorten the text, or split it over several rows.", line=line)
    if error.startswith("field larger"):
        return _unclosed(begins, f"The cell is not closed within {MAX_CELL_CHARS:,} characters.")
    if error.startswith("unexpected end"):
        return _unclosed(begins, "The file ends before the quote is closed.")
    if line > begins:
        return _unclosed(begins, f"The next quote, in line {line}, does not close it.")
    hint = 'Inside quotes write a quote twice: "He said ""hello""".'
    return refusal("quote", "After a closing quote there is more text in the same cell.", hint, line=line)


def _row_too_long(line: int) -> FileRefused:
    message = f"The row that begins here is longer than {MAX_ROW_CHARS:,} characters, over all its lines."
    return refusal("row_too_long", message, "Close the quotes of every cell; split long texts over rows.", line=line)


def _unclosed(line: int, why: str) -> FileRefused:
    message = f"A quote is opened in the row that begins here, and not closed. {why}"
    hint = 'Close it, or write a quote that belongs to the text twice, inside quotes: "5"" screen".'
    return refusal("unclosed_quote", message, hint, line=line)


def _ragged(line: int, found: int, expected: int, delimiter: str) -> FileRefused:
    name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[delimiter]
    cells = f"{found} cell" if found == 1 else f"{found:,} cells"
    hint = f"Put quotes around a text that holds a {name}." if found > expected else "Add the missing cells."
    return refusal("ragged_row", f"The row has {cells}; the first line names {expected:,} columns.", hint, line=line)
