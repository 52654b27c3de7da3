"""One pass over a file under a mapping: its good rows, its problems, and what the rows are like."""

from collections.abc import Callable
from typing import NamedTuple

from webapp.contract.rows import Row, RowProblem
from webapp.contract.split import MIN_ROWS, split_sizes
from webapp.datasets.mapping import Mapping
from webapp.datasets.readers import Source, read_rows
from webapp.datasets.row_reading import row_of
from webapp.datasets.row_stats import RowStats
from webapp.datasets.rows_file import Cells, cells_of

MAX_PROBLEMS = 100


class RowsCheck(NamedTuple):
    """`problems` are the first hundred rows that cannot be used, `num_problems` says how many there are."""

    stats: RowStats
    problems: list[RowProblem]
    num_problems: int

    @property
    def too_few(self) -> RowProblem | None:
        """Set where what is left cannot be split."""
        different = self.stats.num_different
        if different >= MIN_ROWS:
            return None
        found = f"only {different}" if different else "none"
        return RowProblem(
            code="too_few_rows",
            message=f"At least {MIN_ROWS} rows with different inputs are needed; the file has {found}.",
            hint=f"Add {MIN_ROWS - different} more: some rows train, some are watched, some are kept for the verdict.",
        )

    @property
    def split(self) -> dict[str, int]:
        return split_sizes(self.stats.num_rows)._asdict() if self.too_few is None else {}


def rows_check(source: Source, mapping: Mapping, keep: Callable[[Cells], None] | None = None) -> RowsCheck:
    """Good rows are handed to `keep`."""
    stats = RowStats()
    problems: list[RowProblem] = []
    num_problems = 0
    for record in read_rows(source):
        row = row_of(record, mapping)
        if isinstance(row, Row):
            cells = cells_of(row)
            stats.add(row, cells[3] or row.input)
            if keep:
                keep(cells)
            continue
        num_problems += 1
        if len(problems) < MAX_PROBLEMS:
            problems.append(row)
    return RowsCheck(stats, problems, num_problems)
