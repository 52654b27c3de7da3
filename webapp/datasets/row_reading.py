"""From a record of the file to a row of the contract, or the problem it has."""

from webapp.contract.rows import Row, RowProblem
from webapp.datasets.chat import BadChat, chat_read
from webapp.datasets.mapping import Mapping
from webapp.datasets.readers import Record

MAX_SHOWN = 80


def row_of(record: Record, mapping: Mapping) -> Row | RowProblem:
    if "messages" in mapping:
        return _chat_row(record, mapping["messages"])
    texts: dict[str, str] = {}
    for role in ("input", "output"):
        column = mapping[role]
        value = record.values.get(column)
        if not isinstance(value, str):
            return _no_text(record, role, column)
        if not value.strip():
            return _problem(record, f"empty_{role}", f"the {role} is empty.", column)
        texts[role] = value
    return Row(line=record.line, **texts)


def _no_text(record: Record, role: str, column: str) -> RowProblem:
    if column not in record.values:
        return _problem(record, f"missing_{role}", f"the {role} is missing.", column)
    if record.values[column] is None:
        return _problem(record, f"empty_{role}", f"the {role} is empty.", column)
    hint = "Choose a column of texts, or write the text into it."
    return _problem(record, "not_text", f"the {role} is a list or an object, not text.", column, hint)


def _chat_row(record: Record, column: str) -> Row | RowProblem:
    value = record.values.get(column)
    if value is None or value == "":
        code = "empty_messages" if column in record.values else "missing_messages"
        return _problem(record, code, "the conversation is missing.", column)
    try:
        messages = chat_read(value)
    except BadChat as bad:
        return _problem(record, "chat_format", str(bad), column, bad.hint)
    return Row(line=record.line, input=messages[-2].content, output=messages[-1].content, messages=messages)


def _problem(
    record: Record, code: str, message: str, column: str, hint: str = "Fill it, or leave the row out."
) -> RowProblem:
    return RowProblem(code=code, message=message, hint=hint, line=record.line, column=column)
