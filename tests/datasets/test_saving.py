"""From an upload to rows that can be trained on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client

from tests.datasets.conftest import JSON, Send
from tests.datasets.files import GOOD_PAIRS, chat, good_chats, good_csv, jsonl
from webapp.contract.rows import ROW_COLUMNS, Message
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.rows_file import rows_page
from webapp.datasets.services import upload_delete

PAIRS = {"input": "question", "output": "answer"}


def table(*rows: str) -> str:
    """A CSV file with these rows below thirty good ones."""
    return good_csv() + "".join(f"{row}\n" for row in rows)


def kept(answer: Any) -> DatasetVersion:
    assert answer.status_code == 201, answer.content
    return DatasetVersion.objects.get(id=answer.json()["version_id"])


def test_rows_are_stored_as_the_contract_says(saved: Send) -> None:
    version = kept(saved(good_csv(), **PAIRS))
    rows = pq.read_table(version.rows_path)
    assert tuple(rows.column_names) == ROW_COLUMNS
    assert rows["line"].to_pylist() == list(range(2, 32))
    assert list(zip(rows["input"].to_pylist(), rows["output"].to_pylist(), strict=True)) == GOOD_PAIRS
    assert rows["messages"].null_count == 30
    assert (version.num_rows, version.num_skipped, version.task_guess, version.is_chat) == (30, 0, "generate", False)
    assert [path.name for path in version.rows_path.parent.iterdir()] == ["rows.parquet"]


def test_the_answer_says_where_the_dataset_is(saved: Send, alice_client: Client) -> None:
    answer = saved(good_csv(), **PAIRS).json()
    assert answer["url"] == f"/datasets/{answer['dataset_id']}"
    assert alice_client.get(answer["url"]).status_code == 200
    described = alice_client.get(answer["url"], headers=JSON).json()
    assert (described["name"], described["versions"][0]["num_rows"]) == ("Mine", 30)


def test_a_conversation_keeps_its_messages(saved: Send) -> None:
    version = kept(saved(good_chats(), "chat.jsonl", messages="messages"))
    assert (version.is_chat, version.labels) == (True, {})
    row = rows_page(version.rows_path, 0, 1)[0]
    assert (row.input, row.output) == GOOD_PAIRS[0]
    assert row.messages == (
        Message(role="user", content="question 1"),
        Message(role="assistant", content="answer 1"),
    )


def test_other_names_of_roles_are_understood(saved: Send) -> None:
    turns = [{"from": "human", "value": "hello {}"}, {"from": "gpt", "value": "hi"}]
    rows = ({"conversations": json.loads(json.dumps(turns).replace("{}", str(number)))} for number in range(25))
    version = kept(saved(jsonl(rows), "chat.jsonl", messages="conversations"))
    assert [message.role for message in rows_page(version.rows_path, 0, 1)[0].messages or ()] == ["user", "assistant"]


def test_conversations_in_a_csv_are_read_from_their_json(saved: Send) -> None:
    cells = (json.dumps(chat(("user", f"hello {number}"), ("assistant", "hi"))) for number in range(25))
    content = "messages\n" + "".join('"' + cell.replace('"', '""') + '"\n' for cell in cells)
    assert kept(saved(content, messages="messages")).num_rows == 25


def test_few_repeating_outputs_are_labels(saved: Send) -> None:
    content = "text,label\n" + "".join(f"text {number},{'yes' if number % 3 else 'no'}\n" for number in range(30))
    version = kept(saved(content, input="text", output="label"))
    assert (version.task_guess, list(version.labels.items())) == ("classify", [("yes", 20), ("no", 10)])


def test_figures_tell_lengths_and_duplicates(saved: Send) -> None:
    stats = kept(saved(table("question 1,again", "QUESTION  2,again"), **PAIRS)).stats
    assert stats["duplicates"] == 2
    lengths = stats["lengths"]["input"]
    assert (lengths["longest"], sum(one["rows"] for one in lengths["bins"])) == (11, 32)
    assert lengths["bins"] == [{"low": 9, "high": 16, "rows": 32}]


@pytest.mark.parametrize(
    ("row", "code", "column"),
    [
        ("question,", "empty_output", "answer"),
        ("question,  ", "empty_output", "answer"),
        (",answer", "empty_input", "question"),
        ('" ",answer', "empty_input", "question"),
    ],
)
def test_an_empty_text_is_told_with_line_and_column(
    row: str, code: str, column: str, saved: Send, data_dir: Path
) -> None:
    answer = saved(table("fine,too", row), **PAIRS)
    problems = answer.json()["problems"]
    assert (answer.status_code, answer.json()["code"], len(problems)) == (422, "bad_rows", 1)
    assert (problems[0]["code"], problems[0]["line"], problems[0]["column"]) == (code, 33, column)
    assert problems[0]["hint"] and answer.json()["hint"]
    assert not Dataset.objects.exists() and not list(data_dir.glob("datasets/*"))


@pytest.mark.parametrize(
    ("value", "code"),
    [({"question": "q"}, "missing_output"), ({"question": "q", "answer": None}, "empty_output"),
     ({"question": "q", "answer": ["a"]}, "not_text"), ({"answer": "a"}, "missing_input")],
)  # fmt: skip
def test_a_value_that_is_no_text_is_told(value: object, code: str, saved: Send) -> None:
    rows = [*({"question": question, "answer": answer} for question, answer in GOOD_PAIRS), value]
    problem = saved(jsonl(rows), "rows.jsonl", **PAIRS).json()["problems"][0]
    assert (problem["code"], problem["line"]) == (code, 31)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "is empty"),
        ("hello", "not a list"),
        ([1], "not an object"),
        (chat(("user", "a")), "No message is the assistant's"),
        (chat(("user", "a"), ("tool", "b"), ("assistant", "c")), "role “tool”"),
        ([{"content": "a"}], "has no role"),
        (chat(("user", "a"), ("assistant", " ")), "no content"),
        ([{"role": "user", "content": [{"type": "image"}]}], "not text"),
        (chat(("user", "a"), ("assistant", "b"), ("user", "c")), "last message is not the assistant's"),
        (chat(("assistant", "a")), "where the user's is due"),
        (chat(("user", "a"), ("user", "b"), ("assistant", "c")), "where the assistant's is due"),
        (chat(("system", "a"), ("system", "b"), ("user", "c"), ("assistant", "d")), "after the beginning"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{}]}], "calls a tool"),
        (None, "is missing"),
    ],
)
def test_a_bad_conversation_is_told_rule_by_rule(messages: object, says: str, saved: Send) -> None:
    answer = saved(good_chats() + jsonl([{"messages": messages}]), "chat.jsonl", messages="messages")
    problem = answer.json()["problems"][0]
    assert (answer.status_code, problem["line"], problem["column"]) == (422, 31, "messages")
    assert says in problem["message"] and problem["hint"]
    assert not Dataset.objects.exists()


def test_half_a_letter_hidden_in_json_text_is_told(saved: Send) -> None:
    cell = '[{""role"": ""user"", ""content"": ""a\\ud800""}, {""role"": ""assistant"", ""content"": ""b""}]'
    answer = saved("messages\n" + f'"{cell}"\n' * 3, messages="messages")
    assert answer.status_code == 422


def test_bad_rows_are_left_out_when_asked(saved: Send) -> None:
    version = kept(saved(table("question,", ",answer"), **PAIRS, skip_bad_rows="yes"))
    assert (version.num_rows, version.num_skipped) == (30, 2)
    assert [problem["line"] for problem in version.problems] == [32, 33]


def test_of_many_problems_a_hundred_are_told_and_all_counted(saved: Send) -> None:
    answer = saved(table(*["x,"] * 150), **PAIRS).json()
    assert (len(answer["problems"]), answer["message"]) == (100, "150 rows cannot be used.")


def test_too_few_rows_are_refused_with_the_number_needed(saved: Send, data_dir: Path) -> None:
    answer = saved("question,answer\n" + "".join(f"q{number},a\n" for number in range(19)), **PAIRS)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_few_rows")
    assert "Add 1 more" in answer.json()["hint"]
    assert not Dataset.objects.exists() and not list(data_dir.glob("datasets/*"))


def test_rows_of_one_input_count_once(saved: Send) -> None:
    rows = "".join(f"Question {number % 19},a{number}\n" for number in range(100))
    assert saved("question,answer\n" + rows, **PAIRS).json()["code"] == "too_few_rows"


def test_leaving_out_too_many_rows_is_refused_too(saved: Send) -> None:
    rows = "".join(f"q{number},{'a' if number < 5 else ''}\n" for number in range(40))
    assert saved("question,answer\n" + rows, **PAIRS, skip_bad_rows="yes").json()["code"] == "too_few_rows"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": "question"},
        {"input": "question", "output": "question"},
        {"input": "question", "output": "nowhere"},
        {"messages": "nowhere"},
        {**PAIRS, "name": " "},
        {**PAIRS, "name": "x" * 101},
        {**PAIRS, "name": "\u202e\u200b"},
    ],
)
def test_a_mapping_the_page_would_not_offer_is_refused(fields: dict[str, str], saved: Send, data_dir: Path) -> None:
    answer = saved(good_csv(), **fields)
    assert answer.status_code == 422
    assert answer.json()["problems"] and answer.json()["message"]
    assert not Dataset.objects.exists() and not list(data_dir.glob("datasets/*"))


def test_warnings_do_not_stand_in_the_way(saved: Send) -> None:
    labels = ["yes"] * 20 + ["Yes"] * 9 + ["no"]
    content = "text,label\n" + "".join(f"text {number},{label}\n" for number, label in enumerate(labels))
    version = kept(saved(content, input="text", output="label"))
    assert {problem["code"] for problem in version.problems} == {"labels_alike", "rare_label"}
    repeated = "question,answer\n" + "".join(f"q{number % 25},a{number}\n" for number in range(100))
    assert kept(saved(repeated, **PAIRS)).problems[0]["code"] == "duplicates"


def test_nothing_is_left_when_storing_fails(
    saved: Send, monkeypatch: pytest.MonkeyPatch, nothing_left: Callable[[], None]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(DatasetVersion, "save", fail)
        with pytest.raises(RuntimeError):
            saved(good_csv(), **PAIRS)
    upload_delete(Upload.objects.get())
    nothing_left()


def test_equal_rows_have_equal_fingerprints_whatever_the_file(saved: Send) -> None:
    one, two = kept(saved(good_csv(), **PAIRS)), kept(saved(good_csv(";", "\r\n"), **PAIRS))
    other = kept(saved(table("more,rows"), **PAIRS))
    assert one.rows_sha256 == two.rows_sha256 != other.rows_sha256


def test_rows_are_read_a_page_at_a_time(saved: Send) -> None:
    content = "question,answer\n" + "".join(f"q{number},a{number}\n" for number in range(12_000))
    version = kept(saved(content, **PAIRS))
    assert pq.ParquetFile(version.rows_path).num_row_groups == 3
    assert [row.input for row in rows_page(version.rows_path, 4_998, 4)] == ["q4998", "q4999", "q5000", "q5001"]
    assert rows_page(version.rows_path, 12_000, 25) == []
