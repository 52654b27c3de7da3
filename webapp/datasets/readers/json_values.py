"""JSON as we accept it: no duplicate keys, no NaN, no lone surrogates, no bottomless nesting."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from webapp.datasets.readers.names import MAX_COLUMNS, duplicate_column, name_checked, too_many_columns
from webapp.datasets.readers.record import FileRefused, Record, Value, refusal

MAX_DEPTH = 32
MAX_KEYS = 10_000
"""Of one object. A row has far fewer, see MAX_COLUMNS; this bounds the objects inside it as well."""
MAX_NUMBER_CHARS = 1000

BAD_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class _Refused(ValueError):
    """Raised inside the parser, which knows no line number."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        message = f"An object has {len(pairs):,} keys; {MAX_KEYS:,} are allowed."
        raise _Refused("too_many_keys", message, "Keep only the keys with the input and the output.")
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = _first_duplicate(pairs)
        raise _Refused("duplicate_key", f"The key “{twice[:100]}” stands twice in one object.", "Keep one of them.")
    return found


def _first_duplicate(pairs: list[tuple[str, Any]]) -> str:
    """Looks at each key once, however many there are."""
    seen: set[str] = set()
    for key, _value in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("the keys differ")


def _number(text: str) -> str:
    """Numbers are texts to us, as they are written: 1.10 stays 1.10."""
    if len(text) > MAX_NUMBER_CHARS:
        raise _Refused("number", f"A number has {len(text):,} digits.", "Put quotes around it if it is a text.")
    if math.isinf(float(text)):
        raise _Refused("number", f"The number {text} is too large.", "Put quotes around it if it is a text.")
    return text


def _constant(name: str) -> str:
    raise _Refused("number", f"{name} is not JSON.", "Write null where there is no value, or leave the row out.")


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_constant, strict=False
)
"""Not strict about control characters: the reader of lines refuses them already, with their place."""


class Columns:
    """The names met so far, since every JSON row brings its own keys."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def record(self, value: object, line: int, raw: str) -> Record:
        """A row of the file. `raw` is its JSON text. Raises FileRefused."""
        if not isinstance(value, dict):
            raise refusal(
                "not_an_object",
                f"The row is {_called(value)}, not an object with named columns.",
                'Write each row as {"input": "…", "output": "…"}.',
                line=line,
            )
        if not value:
            raise refusal("not_an_object", "The row is an empty object.", "Fill it or delete the line.", line=line)
        for key in value:
            if key not in self._names:
                self._add(key, line)
        values = {self._names[key]: _value(cell, line, self._names[key]) for key, cell in value.items()}
        if "\\" in raw:
            for column, cell in values.items():
                for text in _texts(cell):
                    _refuse_bad_text(text, line, column)
        return Record(line, values)

    def _add(self, key: str, line: int) -> None:
        name = name_checked(key, len(self._names) + 1, line)
        _refuse_bad_text(name, line, name.encode("ascii", "replace").decode())
        if (folded := name.casefold()) in self._keys:
            raise duplicate_column(self._keys[folded], key, line)
        self._names[key] = self._keys[folded] = name
        if len(self._names) > MAX_COLUMNS:
            raise too_many_columns(len(self._names), line)


def refused_json(error: Exception, line: int, column: int | None = None) -> FileRefused:
    """The parser's error as ours; `line` is where the row begins."""
    if isinstance(error, RecursionError):
        return _too_deep(line)
    if isinstance(error, _Refused):
        return refusal(error.code, str(error), error.hint, line=line)
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    at = "" if column is None else f"Character {column}: "
    return refusal("json", f"{at}this is not valid JSON ({said[:1].lower()}{said[1:]}).", _json_hint(said), line=line)


def _json_hint(said: str) -> str:
    if "double quotes" in said:
        return "Keys and texts stand in double quotes, and no comma follows the last of them."
    if "Extra data" in said:
        return "Write one object a line, with nothing behind it."
    return "Write one object a line, as json.dumps() of Python does. A CSV file should be named .csv."


def _value(cell: Any, line: int, column: str) -> Value:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, list | dict) and _deeper_than(cell, MAX_DEPTH):
        raise _too_deep(line, column)
    return cell  # type: ignore[no-any-return]  # numbers are texts by now


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(item, depth - 1) for item in inner)


def _refuse_bad_text(text: str, line: int, column: str) -> None:
    """An escape may smuggle in what the file's own bytes cannot hold."""
    found = BAD_TEXT.search(text)
    if found is None:
        return
    if found[0] >= "\ud800":
        raise _surrogate(line, column)
    raise refusal(
        "control_char",
        f"A text holds the escaped control character U+{ord(found[0]):04X}.",
        "Remove it: it is not text, and shows that something went wrong when the file was made.",
        line=line,
        column=column,
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _surrogate(line: int, column: str | None = None) -> FileRefused:
    message = "A text holds half of a character (a lone surrogate such as \\ud83d)."
    hint = (
        "Write the whole character, or remove the half. It often comes from cutting a text in the middle of an emoji."
    )
    return refusal("encoding", message, hint, line=line, column=column)


def _too_deep(line: int, column: str | None = None) -> FileRefused:
    message = f"Lists and objects are nested deeper than {MAX_DEPTH} levels."
    return refusal(
        "too_deep", message, "Give the columns texts; a conversation is a list of messages.", line=line, column=column
    )


def _called(value: object) -> str:
    return "a list" if isinstance(value, list) else "null" if value is None else "a single value"
