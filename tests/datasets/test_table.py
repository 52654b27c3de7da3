"""Rows come out of the table as the readers gave them."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.files import good_csv, jsonl
from webapp.datasets.readers import Record, read_rows, source_of
from webapp.datasets.reading import table

NAMES = st.sampled_from(["question", "answer", "messages", "id", "0", "line", "kinds"])
VALUES = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    st.lists(st.dictionaries(st.sampled_from("ab"), st.text("xyz", max_size=3), max_size=2), max_size=2),
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, min_size=2, max_size=4), min_size=1, max_size=12)


def through_the_table(folder: Path, content: str, name: str) -> tuple[list[Record], list[Record], list[str]]:
    """Rows as they are read, as they come out of the table, and the table's columns."""
    (folder / "file").write_text(content)
    source = source_of(folder / "file", name)
    facts = table.table_write(source, folder / "table", lambda _bytes: None, lambda _rows: None)
    out = list(table.table_records(folder / "table", facts.columns, facts.columns))
    return list(read_rows(source)), out, facts.columns


@settings(max_examples=150, deadline=None)
@given(rows=ROWS)
def test_every_kind_of_cell_survives(tmp_path_factory: Any, rows: list[dict[str, Any]]) -> None:
    read, out, _columns = through_the_table(tmp_path_factory.mktemp("table"), jsonl(rows), "rows.jsonl")
    assert out == read


def test_a_column_that_appears_late_is_kept(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"q": f"{number}", "a": "x"} for number in range(table.HEAD_ROWS + 500)]
    rows[-1]["note"] = {"deep": ["1", None, True]}
    read, out, columns = through_the_table(tmp_path, jsonl(rows), "rows.jsonl")
    assert columns == ["q", "a", "note"] and out == read


def test_many_rows_are_written_and_read_group_by_group(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(table, "_GROUP_ROWS", 7)
    read, out, _columns = through_the_table(tmp_path, good_csv(), "rows.csv")
    assert out == read and len(out) == 30


def test_only_the_wanted_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps([{"a": "1", "b": "2", "c": None}] * 3))
    source = source_of(tmp_path / "file", "rows.json")
    facts = table.table_write(source, tmp_path / "table", lambda _bytes: None, lambda _rows: None)
    found = list(table.table_records(tmp_path / "table", facts.columns, ["c", "a"]))
    assert [record.values for record in found] == [{"c": None, "a": "1"}] * 3
