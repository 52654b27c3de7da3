"""Files as people have them, good and bad."""

import json
from collections.abc import Iterable
from pathlib import Path

from webapp.contract.rows import RowProblem
from webapp.datasets.readers import FileRefused, Record, read_rows, source_of

GOOD_PAIRS = [(f"question {number}", f"answer {number}") for number in range(1, 31)]


def good_csv(delimiter: str = ",", end: str = "\n") -> str:
    lines = [f"question{delimiter}answer", *(f"{question}{delimiter}{answer}" for question, answer in GOOD_PAIRS)]
    return end.join(lines) + end


def good_jsonl() -> str:
    return "".join(json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in GOOD_PAIRS)


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def good_chats(count: int = 30) -> str:
    rows = ({"messages": chat(("user", question), ("assistant", answer))} for question, answer in GOOD_PAIRS[:count])
    return jsonl(rows)


def jsonl(rows: Iterable[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def records_of(path: Path, content: bytes | str, name: str = "rows.csv") -> list[Record]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(source_of(path, name)))


def problem_of(path: Path, content: bytes | str, name: str = "rows.csv") -> RowProblem:
    """Why the file is refused."""
    try:
        records_of(path, content, name)
    except FileRefused as refused:
        return refused.problem
    raise AssertionError("the file was read to its end")
