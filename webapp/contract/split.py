"""The split: which rows are trained on, watched, and kept for the verdict. Decided once, before training.

Rows with the same input never stand on two sides, so a model cannot be praised for rows it has seen.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

Side = Literal["train", "validation", "test"]

MIN_ROWS = 20
FEWEST_TEST, FEWEST_VALIDATION = 5, 3


class TooFewRows(ValueError):
    """The dataset cannot be split; the message says how many rows are needed."""


class SplitSizes(NamedTuple):
    """Rows on each side. Validation rows are watched while training; test rows are for the verdict alone."""

    train: int
    validation: int
    test: int


def split_sizes(num_rows: int) -> SplitSizes:
    """A fifth for the verdict (5 to 200 rows), a tenth to watch (3 to 100), the rest to train on."""
    if num_rows < MIN_ROWS:
        raise TooFewRows(
            f"{num_rows} rows are too few: training, watching and judging need at least {MIN_ROWS} different rows. "
            f"Add {MIN_ROWS - num_rows} more."
        )
    test = min(max(round(num_rows * 0.2), FEWEST_TEST), 200)
    validation = min(max(round(num_rows * 0.1), FEWEST_VALIDATION), 100)
    return SplitSizes(num_rows - test - validation, validation, test)


def split_rows(
    inputs: Sequence[str],
    strata: Sequence[str],
    seed: int,
    *,
    trained: Collection[str] = (),
    watched: Collection[str] = (),
) -> list[Side]:
    """The side of each row. Same inputs and seed give the same split, whatever the order of the rows.

    `strata` keeps the mix of labels alike on all sides; pass the same word for every row where there are none.
    `trained` and `watched` are inputs that an earlier training has seen: neither becomes a test row, and what was
    trained on is not watched either. Raises TooFewRows.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(inputs):
        groups[_key(text, seed)].append(index)
    if len(groups) < MIN_ROWS:
        split_sizes(len(groups))
    sizes = split_sizes(len(inputs))

    known = {_key(text, seed) for text in trained}
    spoilt = known | {_key(text, seed) for text in watched}
    sides: list[Side] = ["train"] * len(inputs)
    num_test = num_validation = 0
    for key in _spread(groups, strata):
        rows = groups[key]
        if key not in spoilt and num_test + len(rows) <= sizes.test:
            side: Side = "test"
            num_test += len(rows)
        elif key not in known and num_validation + len(rows) <= sizes.validation:
            side = "validation"
            num_validation += len(rows)
        else:
            continue
        for index in rows:
            sides[index] = side
    if spoilt and (num_test < FEWEST_TEST or num_validation < FEWEST_VALIDATION):
        raise TooFewRows(_TOO_FEW_NEW.format(new=num_test + num_validation))
    return sides


_TOO_FEW_NEW = (
    "Of these rows only {new} were not trained on by the adapter already, which is too few to watch and to judge by: "
    f"{FEWEST_TEST + FEWEST_VALIDATION} at least are needed. Add new rows, or start from the base model."
)


def split_sha256(inputs: Sequence[str], sides: Sequence[Side]) -> str:
    """A fingerprint of who stands where, to prove later that a verdict used these very rows."""
    digest = hashlib.sha256()
    for text, side in sorted(zip(inputs, sides, strict=True)):
        digest.update(f"{side}\0{text}\0".encode())
    return digest.hexdigest()


def _key(text: str, seed: int) -> str:
    """Random but repeatable order; case and spacing do not make a text another one."""
    same = " ".join(text.casefold().split())
    return hashlib.sha256(f"{seed}\0{same}".encode()).hexdigest()


def _spread(groups: dict[str, list[int]], strata: Sequence[str]) -> list[str]:
    """Group keys ordered so that any prefix holds each stratum in proportion."""
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for key in sorted(groups):
        by_stratum[strata[groups[key][0]]].append(key)
    places = [((position + 0.5) / len(keys), key) for keys in by_stratum.values() for position, key in enumerate(keys)]
    return [key for _place, key in sorted(places)]
