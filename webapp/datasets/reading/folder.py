"""What is known of an uploaded file, kept in a folder beside it: its rows as Parquet, and the checks of its mappings.

All of it is a cache that can be made again from the file. Written by the child, read by the web process.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from webapp.contract.rows import RowProblem
from webapp.datasets.mapping import Mapping
from webapp.datasets.rows_check import RowsCheck

Kind = TypeVar("Kind", bound=BaseModel)

CHECKS_KEPT = 3
"""The latest mappings whose rows stay at hand, so that looking back and forth between two reads nothing again."""


class PreviewLine(BaseModel):
    """A row as the page shows it: its line in the file, and the first characters of each column."""

    model_config = ConfigDict(frozen=True)

    line: int
    cells: list[str]


class TableFacts(BaseModel):
    """What reading a file to its end tells: its columns and first rows, or why it is refused."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    """Facts of another version count as missing, so the file is read again."""
    format: str = ""
    columns: list[str] = []
    num_rows: int = 0
    first_rows: list[PreviewLine] = []
    refusal: RowProblem | None = None


class Progress(BaseModel):
    """How far the child is. `done` and `total` are bytes while it reads, rows while it checks."""

    model_config = ConfigDict(frozen=True)

    stage: Literal["waiting", "reading", "checking"] = "waiting"
    done: int = 0
    total: int = 0
    num_rows: int = 0
    seconds_left: float | None = None

    @property
    def percent(self) -> int:
        return min(100, 100 * self.done // self.total) if self.total else 0


class Failure(BaseModel):
    """Why the child ended without a result. `key` is the mapping's, or empty where the table could not be made."""

    model_config = ConfigDict(frozen=True)

    key: str
    problem: RowProblem


class ReadingFolder:
    """The folder of one upload."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table_path = path / "table.parquet"
        self.lock_path = path / "lock"
        self.log_path = path / "log"
        self._facts_path = path / "table.json"
        self._progress_path = path / "progress.json"
        self._failure_path = path / "failure.json"

    def facts(self) -> TableFacts | None:
        """None until the file was read."""
        facts = _read(self._facts_path, TableFacts)
        return facts if facts and (facts.refusal or self.table_path.exists()) else None

    def check(self, mapping: Mapping) -> RowsCheck | None:
        """None until the rows were checked, and once they were moved away to be a dataset's."""
        return _read(self._check_path(mapping), RowsCheck) if self.rows_path(mapping).exists() else None

    def may_have_result(self, mapping: Mapping | None) -> bool:
        """Whether the files are there, without reading them: who waits asks this many times a second."""
        paths = [self._facts_path, self.table_path]
        if mapping is not None:
            paths += [self._check_path(mapping), self.rows_path(mapping)]
        return all(path.exists() for path in paths)

    def progress(self) -> Progress:
        return _read(self._progress_path, Progress) or Progress()

    def failure(self, mapping: Mapping | None) -> RowProblem | None:
        """Of the table, or of the check of this mapping."""
        failure = _read(self._failure_path, Failure)
        return failure.problem if failure and failure.key in ("", key_of(mapping)) else None

    def rows_path(self, mapping: Mapping) -> Path:
        """The rows of a checked mapping that can be used."""
        return self.path / f"{key_of(mapping)}.parquet"

    def facts_write(self, facts: TableFacts) -> None:
        self._write(self._facts_path, facts)

    def check_write(self, mapping: Mapping, check: RowsCheck) -> None:
        self._write(self._check_path(mapping), check)
        rows = [path for path in self.path.glob("*.parquet") if path != self.table_path]
        for path in sorted(rows, key=lambda path: path.stat().st_mtime)[:-CHECKS_KEPT]:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)

    def progress_write(self, progress: Progress) -> None:
        """Raises FileNotFoundError once the folder was removed: then nobody waits for the result."""
        self._write(self._progress_path, progress)

    def failure_write(self, mapping: Mapping | None, problem: RowProblem) -> None:
        self._write(self._failure_path, Failure(key=key_of(mapping), problem=problem))

    def failure_forget(self) -> None:
        self._failure_path.unlink(missing_ok=True)

    def table_forget(self) -> None:
        """So that it is made again, since it is damaged."""
        self._facts_path.unlink(missing_ok=True)
        self.table_path.unlink(missing_ok=True)

    def _check_path(self, mapping: Mapping) -> Path:
        return self.path / f"{key_of(mapping)}.json"

    def _write(self, path: Path, value: BaseModel) -> None:
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_text(value.model_dump_json())
        part.replace(path)


def key_of(mapping: Mapping | None) -> str:
    if mapping is None:
        return ""
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    """None where there is none, or what a power cut left of it."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
