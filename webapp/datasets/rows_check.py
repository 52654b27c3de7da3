"""One pass over the rows under a mapping: the good ones, the problems of the others, and what the rows are like."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from webapp.contract.rows import Row, RowProblem
from webapp.contract.split import MIN_ROWS, split_sizes
from webapp.datasets.mapping import Mapping
from webapp.datasets.readers import Record
from webapp.datasets.row_reading import row_of
from webapp.datasets.row_stats import RowStats
from webapp.datasets.rows_file import RowsWriter, cells_of

MAX_PROBLEMS = 100


class RowsCheck(BaseModel):
    """`problems` are the first hundred rows that cannot be used, `num_problems` says how many there are."""

    model_config = ConfigDict(frozen=True)

    num_rows: int
    """That can be used."""
    num_different: int
    labels: dict[str, int]
    lengths: dict[str, dict[str, Any]]
    warnings: list[RowProblem]
    problems: list[RowProblem]
    num_problems: int
    rows_sha256: str

    @property
    def too_few(self) -> RowProblem | None:
        """Set where what is left cannot be split."""
        different = self.num_different
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
        return split_sizes(self.num_rows)._asdict() if self.too_few is None else {}

    @property
    def stats(self) -> dict[str, Any]:
        """What a dataset version keeps of it."""
        duplicates = self.num_rows - self.num_different
        return {"labels": self.labels, "lengths": self.lengths, "duplicates": duplicates}


def rows_check(records: Iterable[Record], mapping: Mapping, rows: RowsWriter) -> RowsCheck:
    """Good rows are handed to `rows`."""
    stats = RowStats()
    problems: list[RowProblem] = []
    num_problems = 0
    for record in records:
        row = row_of(record, mapping)
        if isinstance(row, Row):
            cells = cells_of(row)
            stats.add(row, cells[3] or row.input)
            rows.add(cells)
            continue
        num_problems += 1
        if len(problems) < MAX_PROBLEMS:
            problems.append(row)
    rows.flush()
    return RowsCheck(
        num_rows=stats.num_rows,
        num_different=stats.num_different,
        labels=stats.labels,
        lengths=stats.lengths,
        warnings=stats.warnings(),
        problems=problems,
        num_problems=num_problems,
        rows_sha256=rows.sha256,
    )
