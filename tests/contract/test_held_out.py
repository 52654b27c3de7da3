"""The file of held-out rows: written as a whole, read row by row, and damage is loud."""

from pathlib import Path

import pytest

from webapp.contract.held_out import HeldOutRow, held_out_text, read_held_out


def row(line: int, text: str = "in") -> HeldOutRow:
    return HeldOutRow(
        line=line, input=text, expected="yes", base="no", tuned="yes", base_score=0, tuned_score=1, base_loss=2.5,
        tuned_loss=0.5,
    )  # fmt: skip


def test_what_is_written_is_read_again_in_order(tmp_path: Path) -> None:
    rows = [row(3), row(2, "two\nlines\u2028and “quotes”"), row(9, "")]
    (tmp_path / "rows").write_text(held_out_text(rows), "utf-8")
    assert list(read_held_out(tmp_path / "rows")) == rows
    assert [one.gain for one in rows] == [1, 1, 1]


def test_a_file_cut_in_a_row_gives_the_rows_before_and_then_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(held_out_text([row(2), row(3)])[:-20], "utf-8")
    rows = read_held_out(tmp_path / "rows")
    assert next(rows).line == 2
    with pytest.raises(ValueError):
        next(rows)
