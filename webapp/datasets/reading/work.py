"""What the child does: reads a file into its table once, and checks a mapping over it."""

from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from webapp.datasets.mapping import Mapping, mapping_guess
from webapp.datasets.readers import source_of
from webapp.datasets.readers.record import FileRefused
from webapp.datasets.reading.folder import ReadingFolder, TableFacts
from webapp.datasets.reading.noting import Noting
from webapp.datasets.reading.table import table_records, table_write
from webapp.datasets.rows_check import rows_check
from webapp.datasets.rows_file import rows_writer


class Request(BaseModel):
    """`mapping` is guessed from the columns where it is None."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    file: Path
    file_name: str
    mapping: Mapping | None
    max_memory_bytes: int
    cpu_seconds: int
    max_file_bytes: int


def answer(request: Request) -> None:
    """Make the table unless it is there, then check the mapping unless that was done. A refusal is an answer, too."""
    folder = ReadingFolder(request.folder)
    facts = folder.facts() or _read(request, folder)
    if facts.refusal:
        return
    mapping = request.mapping or mapping_guess(facts.columns)
    if folder.check(mapping):
        return
    try:
        _check(folder, facts, mapping)
    except (pa.ArrowException, FileNotFoundError) as error:
        if isinstance(error, MemoryError) or not folder.path.exists():
            raise
        # The cached table is damaged, so it is made again from the file.
        folder.table_forget()
        _check(folder, _read(request, folder), mapping)


def _read(request: Request, folder: ReadingFolder) -> TableFacts:
    noting = Noting(folder, "reading", request.file.stat().st_size)
    try:
        source = source_of(request.file, request.file_name)
        facts = table_write(source, folder.table_path, noting.more, noting.rows)
    except FileRefused as refused:
        facts = TableFacts(refusal=refused.problem)
    folder.facts_write(facts)
    return facts


def _check(folder: ReadingFolder, facts: TableFacts, mapping: Mapping) -> None:
    noting = Noting(folder, "checking", facts.num_rows)
    records = table_records(folder.table_path, facts.columns, list(mapping.values()))
    with rows_writer(folder.rows_path(mapping)) as rows:
        check = rows_check(noting.each(records), mapping, rows)
    folder.check_write(mapping, check)
