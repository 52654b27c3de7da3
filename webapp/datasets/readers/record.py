"""What every reader gives, and the one way it says no."""

from typing import NamedTuple

from webapp.contract.rows import RowProblem

Value = str | list[object] | dict[str, object] | None
"""A cell: text, a structure (only JSON has them), or nothing. Numbers and booleans come as their text."""


class Record(NamedTuple):
    """One row as it stands in the file. `line` is where it begins, counted from 1."""

    line: int
    values: dict[str, Value]


class FileRefused(Exception):
    """The file as a whole cannot be used; `problem` says why, where, and what to do."""

    def __init__(self, problem: RowProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def refusal(code: str, message: str, hint: str, *, line: int | None = None, column: str | None = None) -> FileRefused:
    return FileRefused(RowProblem(code=code, message=message, hint=hint, line=line, column=column))
