"""How many tokens a tokenizer's files name, read without the library that runs them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webapp.contract.model_config import SMALL_FILE_BYTES, NotABaseModel, read_json

LARGEST_ID = 100_000_000


def tokenizer_size(folder: Path) -> int:
    """One more than the largest id, so that a table of as many rows has a place for each. Raises NotABaseModel."""
    largest = -1
    for name, read_ids in (
        ("tokenizer.json", _of_tokenizer),
        ("added_tokens.json", dict.values),
        ("tokenizer_config.json", _of_config),
    ):
        path = folder / name
        if not path.exists():
            continue
        for number in read_ids(read_json(path, SMALL_FILE_BYTES)):
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= LARGEST_ID:
                raise NotABaseModel(f"{name} gives a token the number {str(number)[:40]}, which no model has.")
            largest = max(largest, number)
    return largest + 1


def _of_tokenizer(said: dict[str, Any]) -> Iterator[Any]:
    model = said.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        yield from vocabulary.values()
    elif isinstance(vocabulary, list) and vocabulary:
        yield len(vocabulary) - 1  # numbered as they stand
    added = said.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        yield token.get("id") if isinstance(token, dict) else token


def _of_config(said: dict[str, Any]) -> Iterator[Any]:
    added = said.get("added_tokens_decoder")
    for number in added if isinstance(added, dict) else ():
        yield int(number) if number.isascii() and number.isdigit() and len(number) < 20 else number
