"""Real texts of every length, for the engine's bench: what packages that are installed here say of themselves.

A row asks for the first sentence of a docstring and shows the rest, so that most of its tokens are a prompt.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from typing import NamedTuple

from tests.bench.rows import Row, dates

PACKAGES = ("numpy", "scipy", "sklearn")
FEWEST_CHARACTERS, MOST_CHARACTERS = 20, 2100
"""Of a prompt's text. With the chat template of SmolLM2 about 60 and 700 tokens; the template alone is 40."""
ANSWER_CHARACTERS = range(20, 121)


_DEFINITION = re.compile(r'^(?:def|class) (\w+)(?:\([^":]*\))?:\n    r?"""(.*?)"""', re.MULTILINE | re.DOTALL)
"""With a docstring, at the top of a file. To parse all the files would take half a minute on a busy machine."""


class Documented(NamedTuple):
    """A function or class with what its docstring says: the first sentence, and all after it."""

    package: str
    name: str
    summary: str
    rest: str


def ragged(how_many: int) -> list[Row]:
    """Prompts of 60 to 700 tokens, 280 in the mean, in an order by chance that is always the same."""
    rows = {
        f"Say in one sentence what `{one.name}` in {one.package} is for.\n\n{text}": one.summary
        for one in documented()
        if len(text := cut(one.rest, _room(one.name))) >= FEWEST_CHARACTERS
    }
    return _rows(rows, how_many)


def even(how_many: int) -> list[Row]:
    """The sample of dates, which are all about as long; said again where more are wanted than there are."""
    rows = dates()
    return [rows[at % len(rows)] for at in range(how_many)]


def labelled(how_many: int) -> list[Row]:
    """A first sentence, and which of the packages it is from."""
    return _rows({one.summary: one.package for one in documented()}, how_many)


@cache
def documented() -> tuple[Documented, ...]:
    """Read from the sources: nothing is imported, so nothing of these packages' own weight is measured."""
    return tuple(one for package in PACKAGES for one in _documented(package))


def cut(text: str, room: int) -> str:
    """Its first whole paragraphs, as many as there is room for."""
    kept = ""
    for paragraph in text.split("\n\n"):
        if len(kept) + len(paragraph) > room:
            break
        kept += paragraph + "\n\n"
    return kept.strip()


def _documented(package: str) -> Iterator[Documented]:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    for path in sorted(folder.rglob("*.py")):
        if "tests" not in path.parts:
            for name, text in _DEFINITION.findall(path.read_text()):
                summary, _gap, rest = cleandoc(text).partition("\n\n")
                summary = " ".join(summary.split())
                if len(summary) in ANSWER_CHARACTERS and not name.startswith("_"):
                    yield Documented(package, name, summary, rest)


def _room(name: str) -> int:
    """Any length as likely as another, since docstrings by themselves are mostly long."""
    return FEWEST_CHARACTERS + int(_digest(name), 16) % (MOST_CHARACTERS - FEWEST_CHARACTERS)


def _rows(answers: dict[str, str], how_many: int) -> list[Row]:
    texts = sorted(answers, key=_digest)[:how_many]
    return [{"input": text, "output": answers[text], "messages": None} for text in texts]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
