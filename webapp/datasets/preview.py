"""The first rows of a file, as the page shows them while somebody chooses the columns."""

import json
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from webapp.datasets.mapping import Mapping
from webapp.datasets.readers import Source, Value, read_rows

NUM_ROWS = 5
MAX_COLUMNS = 8
MAX_CHARS = 240


class PreviewRow(NamedTuple):
    line: int
    cells: list[str]


class Preview(NamedTuple):
    """Columns with a role stand first; `num_hidden` others are not shown."""

    columns: list[tuple[str, str]]
    """Name and role; the role is empty for a column that is left aside."""
    rows: list[PreviewRow]
    num_hidden: int


def preview_of(source: Source, columns: Sequence[str], mapping: Mapping) -> Preview:
    roles = {column: role for role, column in mapping.items()}
    shown = [*mapping.values(), *(column for column in columns if column not in roles)][:MAX_COLUMNS]
    rows = [
        PreviewRow(record.line, [cell_text(record.values.get(column)) for column in shown])
        for record in islice(read_rows(source), NUM_ROWS)
    ]
    return Preview([(column, roles.get(column, "")) for column in shown], rows, len(columns) - len(shown))


def cell_text(value: Value) -> str:
    """A cell in a line or two."""
    text = value or "" if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "…"
