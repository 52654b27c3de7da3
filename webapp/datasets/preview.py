"""The first rows of a file, as the page shows them while somebody chooses the columns."""

from typing import NamedTuple

from webapp.datasets.mapping import Mapping
from webapp.datasets.reading.folder import PreviewLine, TableFacts

MAX_COLUMNS = 8


class Preview(NamedTuple):
    """Columns with a role stand first; `num_hidden` others are not shown."""

    columns: list[tuple[str, str]]
    """Name and role; the role is empty for a column that is left aside."""
    rows: list[PreviewLine]
    num_hidden: int


def preview_of(facts: TableFacts, mapping: Mapping) -> Preview:
    roles = {column: role for role, column in mapping.items()}
    shown = [*mapping.values(), *(column for column in facts.columns if column not in roles)][:MAX_COLUMNS]
    position = {column: at for at, column in enumerate(facts.columns)}
    rows = [
        PreviewLine(line=row.line, cells=[row.cells[position[column]] for column in shown]) for row in facts.first_rows
    ]
    return Preview([(column, roles.get(column, "")) for column in shown], rows, len(facts.columns) - len(shown))
