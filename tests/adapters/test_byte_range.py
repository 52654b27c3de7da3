"""Reading the Range header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.adapters.byte_range import ByteRange, Unsatisfiable, read_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=2-5", ByteRange(2, 5)),
        ("bytes=2-", ByteRange(2, 9)),
        ("bytes=2-99", ByteRange(2, 9)),
        ("bytes=-3", ByteRange(7, 9)),
        ("bytes=-99", ByteRange(0, 9)),
    ],
)
def test_it_reads_one_range(header: str, expected: ByteRange) -> None:
    assert read_range(header, 10) == expected


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"])
def test_anything_else_means_the_whole_file(header: str) -> None:
    assert read_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_had(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        read_range(header, 10)


@given(st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True), st.integers(1, 10**6))
def test_a_range_always_lies_inside_the_file(header: str, size: int) -> None:
    try:
        wanted = read_range(header, size)
    except Unsatisfiable:
        return
    assert wanted is None or 0 <= wanted.first <= wanted.last < size
