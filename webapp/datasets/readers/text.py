"""A file's text, read in pieces of bounded size. Broken bytes and control characters are refused with their place."""

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from webapp.datasets.readers.kinds import Encoding
from webapp.datasets.readers.record import FileRefused, refusal

MAX_LINE_CHARS = 4_000_000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CHUNK_BYTES = 1 << 16


Counted = Callable[[int], None]
"""Is called with the number of bytes each time some were read."""


def uncounted(_num_bytes: int) -> None:
    """For readers whose progress is not of interest."""


class _CountedFile(FileIO):
    def __init__(self, path: Path, read: Counted) -> None:
        super().__init__(path)
        self._read = read

    def readinto(self, buffer: Any) -> int | None:
        num_bytes = super().readinto(buffer)
        self._read(num_bytes or 0)
        return num_bytes


@contextmanager
def open_text(path: Path, encoding: Encoding, read: Counted = uncounted) -> Iterator[TextIO]:
    """Line ends of any kind arrive as a single newline. Raises FileRefused where bytes are no text."""
    with BufferedReader(_CountedFile(path, read), _CHUNK_BYTES) as file:
        file.seek(encoding.skip_bytes)
        try:
            yield TextIOWrapper(file, encoding.name, newline=None)
        except UnicodeDecodeError as error:
            raise _broken_bytes(path, encoding) from error


def read_lines(text: TextIO) -> Iterator[str]:
    """Every line with its newline."""
    number = 0
    while line := text.readline(MAX_LINE_CHARS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARS:
            raise line_too_long(number)
        refuse_control(line, number)
        yield line


def line_too_long(line: int) -> FileRefused:
    message = f"The line is longer than {MAX_LINE_CHARS:,} characters."
    return refusal("line_too_long", message, "Check that each row ends with a line break; shorten the text.", line=line)


def refuse_control(text: str, line: int) -> None:
    """Raises FileRefused for NUL and its like; `line` is where the text begins."""
    found = _CONTROL.search(text)
    if found is None:
        return
    line += text.count("\n", 0, found.start())
    place = found.start() - text.rfind("\n", 0, found.start())
    what = "a NUL character" if found[0] == "\0" else f"the control character U+{ord(found[0]):04X}"
    raise refusal(
        "control_char",
        f"Character {place} of the line is {what}.",
        "Remove it: it is not text, and shows that something went wrong when the file was made.",
        line=line,
    )


def _broken_bytes(path: Path, encoding: Encoding) -> FileRefused:
    """Reads the file again, to tell where the first broken byte stands."""
    decoder = codecs.getincrementaldecoder(encoding.name)()
    line, done, last = 1, encoding.skip_bytes, ""
    with path.open("rb") as file:
        file.seek(done)
        while True:
            chunk = file.read(_CHUNK_BYTES)
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                offset = done - len(pending) + error.start
                good = error.object[: error.start].decode(encoding.name)
                return _encoding_refusal(encoding, error, line + _line_ends(last, good), offset)
            assert chunk, "the file was broken a moment ago"
            line += _line_ends(last, text)
            last = text[-1:] or last
            done += len(chunk)


def _line_ends(before: str, text: str) -> int:
    """Line ends in `text`; a CR LF pair cut in two by the chunks was counted at its CR."""
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    return ends - 1 if before == "\r" and text.startswith("\n") else ends


def _encoding_refusal(encoding: Encoding, error: UnicodeDecodeError, line: int, offset: int) -> FileRefused:
    byte = error.object[error.start]
    return refusal(
        "encoding",
        f"Byte {offset:,} of the file (0x{byte:02X}) is not valid {encoding.name.upper()}.",
        "Save the file as UTF-8 (in Excel: “CSV UTF-8”; in a text editor: Save with encoding) and upload it again.",
        line=line,
    )
