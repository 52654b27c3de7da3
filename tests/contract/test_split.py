from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.contract.split import MIN_ROWS, TooFewRows, split_rows, split_sha256, split_sizes


def one_stratum(inputs: list[str]) -> list[str]:
    return [""] * len(inputs)


def test_a_tenth_is_watched_and_a_fifth_judges() -> None:
    assert split_sizes(300) == (210, 30, 60)


def test_large_datasets_keep_their_rows_for_training() -> None:
    assert split_sizes(100_000) == (99_700, 100, 200)


def test_too_few_rows_are_refused_with_the_number_needed() -> None:
    with pytest.raises(TooFewRows, match=r"12 rows are too few.*at least 20.*Add 8 more"):
        split_sizes(12)


def test_many_copies_of_few_rows_are_too_few() -> None:
    inputs = [f"row {number % 6}" for number in range(200)]
    with pytest.raises(TooFewRows, match="6 rows"):
        split_rows(inputs, one_stratum(inputs), seed=1)


def test_copies_that_differ_in_case_and_spacing_stay_on_one_side() -> None:
    inputs = [f"row {number}" for number in range(60)]
    copies = [text.upper().replace(" ", "  ") for text in inputs]
    sides = split_rows(inputs + copies, one_stratum(inputs + copies), seed=3)
    assert sides[:60] == sides[60:]
    assert {"train", "validation", "test"} == set(sides)


def test_each_side_has_each_label_in_proportion() -> None:
    labels = ["often"] * 240 + ["rarely"] * 60
    sides = split_rows([f"row {number}" for number in range(300)], labels, seed=5)
    counts = Counter(zip(sides, labels, strict=True))
    assert counts["test", "often"] == 48
    assert counts["test", "rarely"] == 12


def test_the_order_of_the_rows_does_not_matter() -> None:
    inputs = [f"row {number}" for number in range(50)]
    forwards = dict(zip(inputs, split_rows(inputs, one_stratum(inputs), seed=9), strict=True))
    backwards = dict(zip(inputs[::-1], split_rows(inputs[::-1], one_stratum(inputs), seed=9), strict=True))
    assert forwards == backwards


def test_another_seed_gives_another_split_and_fingerprint() -> None:
    inputs = [f"row {number}" for number in range(50)]
    one, two = (split_rows(inputs, one_stratum(inputs), seed=seed) for seed in (1, 2))
    assert split_sha256(inputs, one) != split_sha256(inputs, two)


@given(st.lists(st.text(max_size=5), min_size=MIN_ROWS, max_size=120))
def test_no_input_ever_stands_on_two_sides(inputs: list[str]) -> None:
    try:
        sides = split_rows(inputs, one_stratum(inputs), seed=0)
    except TooFewRows:
        return
    found: dict[str, str] = {}
    for text, side in zip(inputs, sides, strict=True):
        assert found.setdefault(text, side) == side


def test_what_was_trained_on_is_neither_watched_nor_judged_by() -> None:
    inputs = [f"row {number}" for number in range(100)]
    first = split_rows(inputs, [""] * 100, 17)
    trained = [text for text, side in zip(inputs, first, strict=True) if side == "train"]
    watched = [text for text, side in zip(inputs, first, strict=True) if side == "validation"]
    assert split_rows(inputs, [""] * 100, 17, trained=trained, watched=watched) == first
    other = split_rows(inputs, [""] * 100, 18, trained=[text.upper() for text in trained], watched=watched)
    sides = dict(zip(inputs, other, strict=True))
    assert {sides[text] for text in trained} == {"train"}
    assert "test" not in {sides[text] for text in watched}


def test_rows_of_which_too_few_are_new_are_refused() -> None:
    inputs = [f"row {number}" for number in range(40)]
    with pytest.raises(TooFewRows, match="only 7 were not trained on"):
        split_rows(inputs, [""] * 40, 17, trained=inputs[:33])
