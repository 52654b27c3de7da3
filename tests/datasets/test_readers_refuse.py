"""Every way a file can be broken ends in one refusal with its place and a remedy."""

from pathlib import Path

import pytest

from tests.datasets.files import good_csv, good_jsonl, problem_of

ROWS = "".join(f"{number},text {number}\n" for number in range(5, 40))
DEEP = "[" * 40 + "]" * 40

CSV = {
    "0 bytes": (b"", "empty", None),
    "header only": (b"question,answer\n", "no_rows", None),
    "only blank lines": (b"\n\n  \n", "no_rows", None),
    "only a byte order mark": (b"\xef\xbb\xbf", "no_rows", None),
    "a picture": (b"\x89PNG\r\n\x1a\n0000", "wrong_type", None),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3", "wrong_type", None),
    "a workbook": (b"PK\x03\x04\x14\x00", "wrong_type", None),
    "gzip": (b"\x1f\x8b\x08\x00", "wrong_type", None),
    "a program": (b"\x7fELF\x02\x01", "wrong_type", None),
    "Parquet": (b"PAR1\x15\x04", "wrong_type", None),
    "a pickle": (b"\x80\x04\x95\x10", "wrong_type", None),
    "a web page": (b"  <!DOCTYPE html><html>", "wrong_type", None),
    "numbers as bytes": (bytes(range(7)) + bytes(4000), "wrong_type", None),
    "UTF-16 without its mark": ("question,answer\n1,2\n".encode("utf-16-le"), "encoding", None),
    "half of UTF-16": (b"\xff\xfeq\x00,\x00a\x00\n\x00\x00\xd8a\x00", "encoding", 2),
    "Latin-1": ("question,answer\n1,2\nwhat,é\n".encode("latin-1"), "encoding", 3),
    "one bad byte far inside": (b"q,a\n" + b"1,2\r\n" * 90_000 + b"1,\xff\n", "encoding", 90_002),
    "cut inside a letter": ("q,a\n1,é".encode()[:-1], "encoding", 2),
    "NUL": (b"q,a\n1,2\n3,a\x00b\n", "control_char", 3),
    "an escape sequence": (b"q,a\n1,\x1b[31mred\n", "control_char", 2),
    "a short row": (b"q,a\n1,2\n3\n4,5\n", "ragged_row", 3),
    "a long row": (b"q,a\n1,2\n\n3,4,5\n", "ragged_row", 4),
    "an open quote to the end": (f'q,a\n1,2\n3,"open\n{ROWS}'.encode(), "unclosed_quote", 3),
    "an open quote before another": (f'q,a\n1,"open\n{ROWS}"x",y\n'.encode(), "unclosed_quote", 2),
    "an open quote that pairs by chance": (f'q,a\n1,"open\n{ROWS}3,inch"\n'.encode(), "unclosed_quote", 2),
    "an open quote with a million characters": (b'q,a\n1,"' + b"x,y\n" * 300_000, "unclosed_quote", 2),
    "text after a quote": (b'q,a\n1,"two" three\n', "quote", 2),
    "a long cell": (b"q,a\n1," + b"x" * 1_000_001 + b"\n", "field_too_long", 2),
    "a long line": (b"q,a\n1," + b"x" * 4_000_001 + b"\n", "line_too_long", 2),
    "a long row over many lines": (
        b"a,b,c,d,e\n1,2,3,4,5\n" + b",".join([b'"' + b"y" * 900_000 + b'\n"'] * 5),
        "row_too_long",
        3,
    ),
    "a name of combining marks": (b"q,a" + "\u0301\u0323".encode() * 400_000 + b"\n1,2\n", "column_name", 1),
    "a column twice": (b"q,a,q\n1,2,3\n", "duplicate_column", 1),
    "a column twice but for case": (b"text,Text\n1,2\n", "duplicate_column", 1),
    "a column twice but for spaces": ("text, text\u200b\n1,2\n".encode(), "duplicate_column", 1),
    "a nameless column": (b",text,label\n0,a,b\n", "column_name", 1),
    "a text where names should be": (b"x" * 300 + b",answer\n1,2\n", "column_name", 1),
    "1,001 columns": (",".join(f"c{n}" for n in range(1001)).encode() + b"\n1\n", "too_many_columns", 1),
}

JSON = {
    "a trailing comma": (b'{"q": "1", "a": "2"}\n{"q": "1",}\n', "json", 2),
    "single quotes": (b"{'q': '1'}\n", "json", 1),
    "an object cut off": (b'{"q": "1", "a": "2"}\n\n{"q": "1"', "json", 3),
    "two objects in a line": (b'{"q": "1"} {"q": "2"}\n', "json", 1),
    "pretty-printed": (b'{\n  "q": "1"\n}\n', "json", 1),
    "CSV in it": (good_csv().encode(), "json", 1),
    "a comment": (b'{"q": "1", "a": "2"}\n// no\n', "json", 2),
    "a scalar": (b'{"q": "1"}\n5\n', "not_an_object", 2),
    "null": (b'{"q": "1"}\nnull\n', "not_an_object", 2),
    "a list in a line": (b'{"q": "1"}\n["a", "b"]\n', "not_an_object", 2),
    "an empty object": (b'{"q": "1"}\n{}\n', "not_an_object", 2),
    "a key twice": (b'{"q": "1", "q": "2"}\n', "duplicate_key", 1),
    "a key twice inside": (b'{"q": {"a": 1, "a": 2}}\n', "duplicate_key", 1),
    "10,001 keys inside": (
        b'{"q": "1"}\n{"q": {' + b",".join(b'"%d":1' % number for number in range(10_001)) + b"}}\n",
        "too_many_keys",
        2,
    ),
    "keys that differ by case": (b'{"q": "1"}\n{"Q": "2"}\n', "duplicate_column", 2),
    "an empty key": (b'{"": "1"}\n', "column_name", 1),
    "NaN": (b'{"q": NaN}\n', "number", 1),
    "Infinity": (b'{"q": "1"}\n{"q": -Infinity}\n', "number", 2),
    "1e999": (b'{"q": 1e999}\n', "number", 1),
    "5,000 digits": (b'{"q": ' + b"9" * 5000 + b"}\n", "number", 1),
    "half a letter": (b'{"q": "\\ud800"}\n', "encoding", 1),
    "half a letter in a key": (b'{"\\ud800": "1"}\n', "encoding", 1),
    "half a letter inside": (b'{"q": [{"role": "\\udfff"}]}\n', "encoding", 1),
    "an escaped NUL": (b'{"q": "a\\u0000b"}\n', "control_char", 1),
    "an escaped backspace": (b'{"q": "a\\bb"}\n', "control_char", 1),
    "40 levels": (f'{{"q": {DEEP}}}\n'.encode(), "too_deep", 1),
    "100,000 levels": (b'{"q": ' + b"[" * 100_000 + b"\n", "too_deep", 1),
    "a long line": (b'{"q": "' + b"x" * 4_000_001 + b'"}\n', "line_too_long", 1),
    "bad UTF-8": (good_jsonl().encode() + b'{"q": "\xff"}\n', "encoding", 31),
}

ARRAY = {
    "an open list": (b'[{"q": "1"},\n {"q": "2"}\n', "json", 3),
    "no comma": (b'[{"q": "1"}\n {"q": "2"}]\n', "json", 2),
    "a trailing comma": (b'[{"q": "1"},\n]', "not_an_object", 2),
    "broken inside": (b'[{"q": "1"},\n{"q": x}]', "json", 2),
    "broken far inside": (b"[" + b'{"q": "1"},\n' * 60_000 + b'{"q": x},' + b'{"q": "1"},\n' * 60_000, "json", 60_001),
    "more behind it": (b'[{"q": "1"}]\n[]\n', "json", 2),
    "scalars": (b"[1, 2]", "not_an_object", 1),
    "nothing in it": (b"[ ]", "no_rows", None),
    "a key twice": (b'[\n{"q": "1", "q": "2"}]', "duplicate_key", 2),
    "an endless object": (b'[{"q": "' + b"x" * 5_000_000, "line_too_long", 1),
    "100,000 levels": (b"[" + b'{"q":' * 100_000, "too_deep", 1),
    "NUL": (b'[{"q": "1"},\n{"q": "\x00"}]', "control_char", 2),
    "40 levels": (f'[{{"q": "1"}},\n{{"q": {DEEP}}}]'.encode(), "too_deep", 2),
    "10,001 keys": (
        b'[{"q": "1"},\n{' + b",".join(b'"%d":1' % number for number in range(10_001)) + b"}]",
        "too_many_keys",
        2,
    ),
}


@pytest.mark.parametrize("what", CSV)
def test_a_broken_csv_is_refused_with_its_place(what: str, tmp_path: Path) -> None:
    content, code, line = CSV[what]
    _check(tmp_path, content, "rows.csv", code, line)


@pytest.mark.parametrize("what", JSON)
def test_a_broken_jsonl_is_refused_with_its_place(what: str, tmp_path: Path) -> None:
    content, code, line = JSON[what]
    _check(tmp_path, content, "rows.jsonl", code, line)


@pytest.mark.parametrize("what", ARRAY)
def test_a_broken_list_is_refused_with_its_place(what: str, tmp_path: Path) -> None:
    content, code, line = ARRAY[what]
    _check(tmp_path, content, "rows.json", code, line)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.xlsx", "model.pkl", "page.html", "rows.csv.gz", "a.exe"])
def test_another_kind_of_name_is_refused_with_the_name_to_give(name: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "file", good_csv(), name)
    assert (problem.code, ".csv" in problem.hint) == ("wrong_type", True)


def test_a_bad_byte_is_told_to_the_byte(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "file", b"\xef\xbb\xbfq,a\r\n1,2\r\n3,\xe9\n")
    assert (problem.line, "Byte 15 " in problem.message) == (3, True)


def test_bad_json_is_told_to_the_character(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "file", b'{"q": "1"}\n{"q": 1 2}\n', "rows.jsonl")
    assert problem.message.startswith("Character 9: ")


def _check(tmp_path: Path, content: bytes, name: str, code: str, line: int | None) -> None:
    problem = problem_of(tmp_path / "file", content, name)
    assert (problem.code, problem.line) == (code, line), problem
    assert problem.message.endswith(".") and problem.hint.endswith(".")
