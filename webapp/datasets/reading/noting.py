"""How far the reading is, written down a few times a second for the page that waits for it."""

import time
from collections.abc import Iterable, Iterator
from typing import Literal

from webapp.datasets.readers import Record
from webapp.datasets.reading.folder import Progress, ReadingFolder

EVERY_SECONDS = 0.25


class Noting:
    """Of one stage. `total` is in bytes while reading, in rows while checking."""

    def __init__(self, folder: ReadingFolder, stage: Literal["reading", "checking"], total: int) -> None:
        self._folder, self._stage, self._total = folder, stage, total
        self._began = self._noted = time.monotonic()
        self._done = self._num_rows = 0
        self._write()

    def more(self, num_bytes: int) -> None:
        """So many bytes more were read. A file that is read twice begins anew."""
        self._done += num_bytes
        if self._done > self._total:
            self._done, self._began = num_bytes, time.monotonic()

    def rows(self, num_rows: int) -> None:
        """So many rows were read, all in all."""
        self._num_rows = num_rows
        if time.monotonic() - self._noted >= EVERY_SECONDS:
            self._write()

    def each(self, records: Iterable[Record]) -> Iterator[Record]:
        for number, record in enumerate(records, start=1):
            yield record
            if number % 1000 == 0:
                self._done = number
                self.rows(number)

    def _write(self) -> None:
        self._noted = time.monotonic()
        elapsed = self._noted - self._began
        left = elapsed * (self._total - self._done) / self._done if self._done and elapsed > 1 else None
        self._folder.progress_write(
            Progress(stage=self._stage, done=self._done, total=self._total, num_rows=self._num_rows, seconds_left=left)
        )
