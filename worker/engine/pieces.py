"""Token ids as text to look at: piece by piece, so that the pieces put together are the text."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from webapp.contract.preview import Piece, Stretch
from worker.engine.encode import Tokenizer

MOST_TOKENS_A_CHARACTER = 4
"""UTF-8 has at most four bytes a character, and a token at least one."""
SHOWN_AT_EITHER_END = 150


class Seen(NamedTuple):
    """A token and how it fares."""

    id: int
    is_trained: bool
    is_cut: bool


def stretches_of(tokenizer: Tokenizer, tokens: Sequence[Seen]) -> tuple[Stretch, ...]:
    """All tokens, those that fare alike together, long stretches without their middle."""
    grouped = groupby(_pieces(tokenizer, tokens), key=lambda told: told[1:])
    return tuple(_stretch([piece for piece, *_ in told], is_trained, is_cut) for (is_trained, is_cut), told in grouped)


def _stretch(pieces: list[Piece], is_trained: bool, is_cut: bool) -> Stretch:
    num_hidden = max(0, len(pieces) - 2 * SHOWN_AT_EITHER_END)
    if not num_hidden:
        return Stretch(is_trained=is_trained, is_cut=is_cut, head=tuple(pieces))
    return Stretch(
        is_trained=is_trained,
        is_cut=is_cut,
        head=tuple(pieces[:SHOWN_AT_EITHER_END]),
        num_hidden=num_hidden,
        tail=tuple(pieces[-SHOWN_AT_EITHER_END:]),
    )


def _pieces(tokenizer: Tokenizer, tokens: Sequence[Seen]) -> Iterator[tuple[Piece, bool, bool]]:
    """How a token reads depends on the one before it (a leading space, a half character), so both are decoded."""
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    ids = [token.id for token in tokens]
    before = begin = 0
    for end in range(1, len(ids) + 1):
        text = _decode(tokenizer, ids[before:end])
        is_half = text.endswith("\ufffd") and end - begin < MOST_TOKENS_A_CHARACTER and end < len(ids)
        if is_half:
            continue
        mine = tokens[begin:end]
        piece = Piece(
            text=text[len(_decode(tokenizer, ids[before:begin])) :],
            ids=tuple(ids[begin:end]),
            is_special=any(token.id in special for token in mine),
        )
        yield piece, any(token.is_trained for token in mine), any(token.is_cut for token in mine)
        before, begin = begin, end


def _decode(tokenizer: Tokenizer, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text
