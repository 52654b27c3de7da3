"""What the model will see: what is asked of the rendering child, and the tokens it answers with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from webapp.contract.tasks import Task
from webapp.contract.version import TEXT_VERSION

SAMPLE_ROWS = 500
"""So many rows are counted at the most; a sample tells enough to see whether the limit is right."""

Which = Literal["first", "longest", "random"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PreviewRequest(_Frozen):
    """`rows` is a dataset version's rows.parquet; `folder` the base model's, or that of the adapter which
    training goes on from; only the tokenizer is read of it."""

    task: Task
    max_length: int
    folder: str
    rows: str
    text_version: int = TEXT_VERSION
    seed: int = 0
    """Draws the random row, and the sample."""


class Piece(_Frozen):
    """A token as it reads; several where only together they are a character."""

    text: str
    ids: tuple[int, ...]
    is_special: bool = False


class Stretch(_Frozen):
    """Tokens in a row that fare alike. Of a long one only both ends are told, `num_hidden` lie between them."""

    is_trained: bool
    is_cut: bool
    head: tuple[Piece, ...]
    num_hidden: int = 0
    tail: tuple[Piece, ...] = ()


class PreviewRow(_Frozen):
    """`writes` is what the decoder of an encoder-decoder is trained to write; `label` the class of a text."""

    which: tuple[Which, ...]
    line: int
    reads: tuple[Stretch, ...]
    writes: tuple[Stretch, ...] = ()
    label: str = ""
    num_tokens: int
    num_trained: int
    num_cut: int


class HugeRow(_Frozen):
    """A row that is too long to be rendered for a page."""

    which: tuple[Which, ...]
    line: int
    num_characters: int


class Bin(_Frozen):
    low: int
    high: int
    rows: int


class Preview(_Frozen):
    """Tokens are compared with `max_length` as the engine does: for an encoder-decoder the longer of both texts."""

    task: Task
    max_length: int
    rows: tuple[PreviewRow | HugeRow, ...]
    num_rows: int
    num_counted: int
    num_huge: int
    """Too long to be counted; they are among those that are cut."""
    num_cut: int
    mean_tokens: float
    max_tokens: int
    bins: tuple[Bin, ...]
