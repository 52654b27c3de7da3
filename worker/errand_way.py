"""What a way to do an errand consists of; the ways themselves are tabled in `errand_kinds.py`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from webapp.errands.models import Errand

Answer = dict[str, Any]


class CannotDo(Exception):
    """Why an errand cannot even begin, or its answer not be kept, in a sentence for people."""


class Told(NamedTuple):
    """What the child gets: `request` becomes request.json, `first_line` goes through its standard input alone."""

    request: str
    first_line: str = ""


class Way(NamedTuple):
    """`tell` and `keep` may raise CannotDo. `seconds`: without a word from the child for so long, it is ended.
    `blame`: what it is most likely due to when a child takes too much time or memory."""

    module: str
    tell: Callable[[Errand], Told]
    seconds: float
    keep: Callable[[Errand, Answer], Answer] = lambda _errand, answer: answer
    asks_hub: bool = False
    blame: str = ""
