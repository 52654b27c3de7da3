"""Every held-out row with what both models made of it: `held_out.jsonl`, one JSON object a line, in the rows' order."""

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class HeldOutRow(BaseModel):
    """Scores are those of the verdict's primary metric, row by row, from 0 to 1; losses are the row's mean, of the
    base model as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int
    input: str
    expected: str
    base: str
    tuned: str
    base_score: float
    tuned_score: float
    base_loss: float
    tuned_loss: float

    @property
    def gain(self) -> float:
        return self.tuned_score - self.base_score


def held_out_text(rows: Iterable[HeldOutRow]) -> str:
    """The file's whole content."""
    return "".join(row.model_dump_json() + "\n" for row in rows)


def read_held_out(path: Path, only: Container[int] | None = None) -> Iterator[HeldOutRow]:
    """Row by row, however many there are; `only` those of these numbers, counted from 0. Raises OSError, and
    ValueError where the file is damaged."""
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if only is None or number in only:
                yield HeldOutRow.model_validate_json(line)
