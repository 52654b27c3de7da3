"""Reading takes work in proportion to what is read. Operations are counted, not time."""

import unicodedata
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from webapp.datasets.readers import json_values, names
from webapp.datasets.readers.record import FileRefused


class CountingKey(str):
    """A key that counts how often it is compared with another."""

    num_comparisons: ClassVar[int] = 0

    def __eq__(self, other: object) -> bool:
        CountingKey.num_comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def comparisons_of(num_keys: int) -> int:
    """To find that the last of so many keys is a duplicate of the one before it."""
    keys = [CountingKey(f"key {number}") for number in range(num_keys)]
    pairs: list[tuple[str, Any]] = [(key, 1) for key in (*keys, CountingKey(keys[-1]))]
    CountingKey.num_comparisons = 0
    with pytest.raises(ValueError, match=f"key {num_keys - 1}"):
        json_values._object(pairs)
    return CountingKey.num_comparisons


def test_a_duplicate_key_is_found_by_looking_at_each_key_once() -> None:
    few, many = comparisons_of(2_000), comparisons_of(4_000)
    # Keys of one hash are compared as well, so a few more than one comparison may be needed.
    assert few <= 100 and many <= 100


def test_an_object_of_too_many_keys_is_refused_before_they_are_looked_at() -> None:
    keys = [CountingKey(f"key {number}") for number in range(json_values.MAX_KEYS + 1)]
    CountingKey.num_comparisons = 0
    with pytest.raises(ValueError, match="10,001 keys; 10,000 are allowed"):
        json_values._object([(key, 1) for key in keys])
    assert CountingKey.num_comparisons == 0


def test_a_name_far_too_long_is_refused_before_its_marks_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    normalised: list[int] = []

    def normalize(form: Any, text: str) -> str:
        normalised.append(len(text))
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(names, "unicodedata", SimpleNamespace(normalize=normalize, category=unicodedata.category))
    with pytest.raises(FileRefused, match="2,000,001 characters long"):
        names.name_checked("a" + "\u0301\u0323" * 1_000_000, 1, 1)
    assert normalised == []
