"""Good files are read as they are meant, whoever wrote them."""

import json
import random
from pathlib import Path

import pytest

from tests.datasets.files import GOOD_PAIRS, good_csv, good_jsonl, records_of


def pairs(path: Path, content: bytes | str, name: str = "rows.csv") -> list[tuple[object, object]]:
    return [(row.values["question"], row.values["answer"]) for row in records_of(path, content, name)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end_is_known_by_itself(delimiter: str, end: str, tmp_path: Path) -> None:
    assert pairs(tmp_path / "file", good_csv(delimiter, end)) == GOOD_PAIRS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_heeded(encoding: str, tmp_path: Path) -> None:
    assert pairs(tmp_path / "file", good_csv().encode(encoding)) == GOOD_PAIRS
    assert pairs(tmp_path / "file", good_jsonl().encode(encoding), "rows.jsonl") == GOOD_PAIRS


def test_jsonl_and_a_json_list_are_told_apart_by_their_content(tmp_path: Path) -> None:
    listed = json.dumps([{"question": question, "answer": answer} for question, answer in GOOD_PAIRS], indent=1)
    for name in ("rows.json", "rows.jsonl", "rows"):
        assert pairs(tmp_path / "file", good_jsonl(), name) == GOOD_PAIRS
        assert pairs(tmp_path / "file", listed, name) == GOOD_PAIRS


def test_lines_are_counted_in_the_file_not_in_rows(tmp_path: Path) -> None:
    csv = 'q,a\n\n"one\ntwo, three",1\n\n2,3\n'
    assert [(row.line, row.values) for row in records_of(tmp_path / "file", csv)] == [
        (3, {"q": "one\ntwo, three", "a": "1"}),
        (6, {"q": "2", "a": "3"}),
    ]
    listed = '[\n{"q": "1"},\n\n{"q":\n"2"}, {"q": "3"}]\n'
    assert [row.line for row in records_of(tmp_path / "file", listed, "rows.json")] == [2, 4, 5]
    assert [row.line for row in records_of(tmp_path / "file", '\n{"q": "1"}\n\n{"q": "2"}', "rows.jsonl")] == [2, 4]


def test_numbers_and_truths_become_their_text(tmp_path: Path) -> None:
    row = records_of(
        tmp_path / "file", '{"a": 1.10, "b": -7, "c": true, "d": null, "e": 12345678901234567890}', "x.json"
    )
    assert row[0].values == {"a": "1.10", "b": "-7", "c": "true", "d": None, "e": "12345678901234567890"}


def test_names_lose_what_one_cannot_see(tmp_path: Path) -> None:
    row = records_of(tmp_path / "file", " question ,\u200banswer\n1,2\n")
    assert list(row[0].values) == ["question", "answer"]


def test_texts_stay_exactly_as_they_are(tmp_path: Path) -> None:
    cells = ["=1+1", "<script>alert(1)</script>", "{{ 7*7 }}", " spaces ", "\\u0001", "a\tb", "日本", "🙂"]
    for content, name in (
        ("q\n" + "\n".join(cells), "x.tsv"),
        ("".join(json.dumps({"q": cell}) + "\n" for cell in cells), "x.jsonl"),
    ):
        if name == "x.tsv":
            content = content.replace("a\tb", '"a\tb"')
        assert [row.values["q"] for row in records_of(tmp_path / "file", content, name)] == cells


def test_a_text_of_many_lines_is_no_unclosed_quote(tmp_path: Path) -> None:
    poem = "\n".join(f"line {number}" for number in range(500))
    assert records_of(tmp_path / "file", f'q,a\n1,"{poem}"\n')[0].values["a"] == poem


def test_a_list_longer_than_what_is_read_at_once_keeps_all_its_rows(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [{"q": "é" * chance.randrange(2000), "n": str(number)} for number in range(2000)]
    text = json.dumps(rows, ensure_ascii=False, indent=2)
    read = records_of(tmp_path / "file", text, "rows.json")
    assert [row.values for row in read] == rows
    assert read[-1].line == 4 * 2000 - 2


def test_twenty_megabytes_are_read_to_their_end(tmp_path: Path) -> None:
    assert len(records_of(tmp_path / "file", "q,a\n" + ("x" * 90 + ",y\n") * 200_000)) == 200_000
