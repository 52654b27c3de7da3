"""Which of a dataset's rows are looked at before a job: three to show, and a sample to count. Memory stays flat."""

import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from webapp.contract.preview import SAMPLE_ROWS, Which
from webapp.contract.rows import ROW_COLUMNS
from worker.engine.errors import TrainingError

NUM_SHOWN = 3
SAMPLE_CHARACTERS = 3_000_000
"""So many are counted in a few seconds."""


class Rows:
    """A rows file. `num_characters[i]` is how long row i is. Raises TrainingError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                batches = file.iter_batches(columns=list(ROW_COLUMNS[1:]))
                self.num_characters = [length for batch in batches for length in _lengths(batch)]
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(error) from error
        if not self.num_characters:
            raise TrainingError("data", "The dataset has no rows. Choose another one.")

    def read(self, wanted: Collection[int]) -> dict[int, dict[str, Any]]:
        """Number -> row."""
        rows: dict[int, dict[str, Any]] = {}
        try:
            with pq.ParquetFile(self._path) as file:
                before = 0
                for batch in file.iter_batches(columns=list(ROW_COLUMNS)):
                    here = sorted(number for number in wanted if before <= number < before + len(batch))
                    rows |= zip(here, batch.take([number - before for number in here]).to_pylist(), strict=True)
                    before += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(error) from error
        return rows

    def shown(self, dice: random.Random) -> dict[int, tuple[Which, ...]]:
        """The first, the longest and a random one; where the first is the longest, two random ones."""
        longest = max(range(len(self.num_characters)), key=self.num_characters.__getitem__)
        shown: dict[int, tuple[Which, ...]] = {0: ("first",)}
        shown[longest] = (*shown.get(longest, ()), "longest")
        others = [number for number in range(len(self.num_characters)) if number not in shown]
        drawn = dice.sample(others, min(len(others), NUM_SHOWN - len(shown)))
        return shown | dict.fromkeys(drawn, ("random",))

    def sample(self, dice: random.Random) -> list[int]:
        numbers = range(len(self.num_characters))
        return list(numbers) if len(numbers) <= SAMPLE_ROWS else dice.sample(numbers, SAMPLE_ROWS)


def _lengths(batch: pa.RecordBatch) -> list[int]:
    """A chat row's input and output stand in its messages as well."""
    of = {name: pc.fill_null(pc.utf8_length(batch[name]), 0) for name in ("input", "output", "messages")}
    lengths = pc.if_else(pc.greater(of["messages"], 0), of["messages"], pc.add(of["input"], of["output"]))
    return list(lengths.to_pylist())


def _unreadable(error: Exception) -> TrainingError:
    message = "The dataset's rows cannot be read: their file is missing or damaged. Upload the dataset again."
    return TrainingError("data", message, f"{type(error).__name__}: {error}"[:500])
