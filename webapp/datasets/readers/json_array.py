"""A JSON file that is one list of objects, read an object at a time."""

from collections.abc import Iterator
from json import JSONDecodeError
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from pathlib import Path
from typing import TextIO

from webapp.datasets.readers.json_values import DECODER, Columns, refused_json
from webapp.datasets.readers.kinds import Encoding
from webapp.datasets.readers.record import Record, refusal
from webapp.datasets.readers.text import MAX_LINE_CHARS, Counted, line_too_long, open_text, refuse_control

_CHUNK_CHARS = 1 << 18


def read_json_array(path: Path, encoding: Encoding, read: Counted) -> Iterator[Record]:
    """`line` of a record is where its object begins. Raises FileRefused."""
    columns = Columns()
    with open_text(path, encoding, read) as text:
        window = _Window(text)
        window.expect("[")
        is_first = True
        while (sign := window.sign()) != "]":
            if not is_first:
                window.expect(",")
            line, value, raw = window.value()
            yield columns.record(value, line, raw)
            is_first = False
        window.expect(sign)
        if window.sign():
            raise refused_json(JSONDecodeError("Extra data", "", 0), window.line, window.column)


class _Window:
    """The part of the file at hand: from where we read on, as far as was needed so far."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._chars = ""
        self._at = 0
        self._is_whole = False
        self.line = 1
        self.column = 1

    def sign(self) -> str:
        """The next character that is no space, without taking it; empty at the end of the file."""
        while True:
            self._go(WHITESPACE.match(self._chars, self._at).end())
            if self._at < len(self._chars) or self._is_whole:
                return self._chars[self._at : self._at + 1]
            self._read_on()

    def expect(self, sign: str) -> None:
        found = self.sign()
        if found != sign:
            what = "the file ends before the list is closed" if not found else f"expecting “{sign}”"
            raise refused_json(ValueError(what), self.line, self.column)
        self._go(self._at + 1)

    def value(self) -> tuple[int, object, str]:
        """The line where it begins, the value, and its text."""
        if self.sign() not in ("{", ""):
            raise self._not_an_object()
        while True:
            try:
                value, end = DECODER.raw_decode(self._chars, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_cut_off(error) and self._read_on():
                    continue
                raise self._refused(error) from error
            line, raw = self.line, self._chars[self._at : end]
            self._go(end)
            return line, value, raw

    def _is_cut_off(self, error: Exception) -> bool:
        """Whether more of the file may mend it: the parser stopped at the end of what is at hand."""
        if not isinstance(error, JSONDecodeError) or self._is_whole:
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._chars) - 16

    def _refused(self, error: Exception) -> Exception:
        if self._is_cut_off(error):
            return line_too_long(self.line)
        if isinstance(error, JSONDecodeError):
            self._go(min(error.pos, len(self._chars)))
            return refused_json(error, self.line, self.column)
        return refused_json(error, self.line)

    def _not_an_object(self) -> Exception:
        hint = 'Write the file as a list of objects: [{"input": "…", "output": "…"}, …].'
        return refusal("not_an_object", "An item of the list is not an object.", hint, line=self.line)

    def _go(self, to: int) -> None:
        newlines = self._chars.count("\n", self._at, to)
        if newlines:
            self.line += newlines
            self.column = to - self._chars.rfind("\n", self._at, to)
        else:
            self.column += to - self._at
        self._at = to

    def _read_on(self) -> bool:
        """Read as much again as is at hand, so that a long object is not parsed over and over."""
        if self._is_whole or len(self._chars) - self._at > MAX_LINE_CHARS:
            return False
        rest = self._chars[self._at :]
        chunk = self._text.read(max(_CHUNK_CHARS, len(rest)))
        refuse_control(chunk, self.line + rest.count("\n"))
        self._is_whole = not chunk
        self._chars, self._at = rest + chunk, 0
        return True
