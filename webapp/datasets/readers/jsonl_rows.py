"""One JSON object a line."""

from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path

from webapp.datasets.readers.json_values import DECODER, Columns, refused_json
from webapp.datasets.readers.kinds import Encoding
from webapp.datasets.readers.record import Record
from webapp.datasets.readers.text import Counted, open_text, read_lines


def read_jsonl(path: Path, encoding: Encoding, read: Counted) -> Iterator[Record]:
    """Blank lines are skipped. Raises FileRefused."""
    columns = Columns()
    with open_text(path, encoding, read) as text:
        for number, line in enumerate(read_lines(text), start=1):
            if line.isspace():
                continue
            try:
                value = DECODER.decode(line)
            except JSONDecodeError as error:
                raise refused_json(error, number, error.pos + 1) from error
            except (ValueError, RecursionError) as error:
                raise refused_json(error, number) from error
            yield columns.record(value, number, line)
