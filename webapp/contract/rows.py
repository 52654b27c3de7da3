"""Rows: the one shape every dataset is turned into, and the problems found on the way.

`rows.parquet` holds one row a line with the columns below; a job's copy also has `split`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["system", "user", "assistant"]

ROW_COLUMNS = ("line", "input", "output", "messages")
"""line: int64, 1-based line of the original file · input, output: text · messages: JSON text of a list of
{role, content} for chat rows, else null. For a chat row `output` is the last assistant message and `input` the
last user message before it, so that pages and metrics can treat all rows alike."""

SPLIT_COLUMN = "split"


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str


class Row(BaseModel):
    """One labelled example. `messages` is set for multi-turn chat only."""

    model_config = ConfigDict(frozen=True)

    line: int
    input: str
    output: str
    messages: tuple[Message, ...] | None = None


class RowProblem(BaseModel):
    """What is wrong, where, and what to do. `line` counts from 1 in the person's own file."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    hint: str
    line: int | None = None
    column: str | None = None
