"""Which column plays which role. A mapping is {"input": column, "output": column} or {"messages": column}."""

from collections.abc import Sequence

Mapping = dict[str, str]

_CHAT_NAMES = ("messages", "conversations", "conversation", "dialog", "dialogue")
_INPUT_NAMES = (
    "input",
    "prompt",
    "question",
    "instruction",
    "query",
    "text",
    "sentence",
    "source",
    "review",
    "content",
)
_OUTPUT_NAMES = (
    "output", "answer", "completion", "response", "label", "target", "reply", "category", "class", "intent",
    "sentiment",
)  # fmt: skip


def is_chat_name(column: str) -> bool:
    return column.casefold() in _CHAT_NAMES


def mapping_guess(columns: Sequence[str]) -> Mapping:
    """By the names people mostly use; else the first column is the input and the last the output."""
    by_name = {column.casefold(): column for column in columns}
    for name in _CHAT_NAMES:
        if name in by_name:
            return {"messages": by_name[name]}
    if len(columns) == 1:
        return {"messages": columns[0]}
    return pairs_guess(columns)


def pairs_guess(columns: Sequence[str]) -> Mapping:
    """Input and output of a file with two columns or more."""
    by_name = {column.casefold(): column for column in columns}
    found_input = next((by_name[name] for name in _INPUT_NAMES if name in by_name), None)
    found_output = next((by_name[name] for name in _OUTPUT_NAMES if name in by_name), None)
    output = found_output or next(column for column in reversed(columns) if column != found_input)
    return {"input": found_input or next(column for column in columns if column != output), "output": output}
