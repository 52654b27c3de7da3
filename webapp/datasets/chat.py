"""Conversations: a list of messages, checked for the order a model is taught in."""

from typing import Any, get_args

from webapp.contract.rows import Message, Role
from webapp.datasets.readers import Value
from webapp.datasets.readers.json_values import BAD_TEXT, DECODER

MAX_TURNS = 1000

_ROLES = get_args(Role)
_OTHER_NAMES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
"""As some published datasets call the roles, with `from` and `value` for `role` and `content`."""


class BadChat(Exception):
    """Breaks a rule; the message says which, the hint what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def chat_read(value: Value) -> tuple[Message, ...]:
    """The messages of a cell: a list, or its JSON text as a CSV file holds it. Raises BadChat."""
    items = _json_text(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise BadChat("The cell is not a list of messages.", 'Write [{"role": "user", "content": "…"}, …].')
    if len(items) > MAX_TURNS:
        raise BadChat(f"The conversation has {len(items):,} messages; {MAX_TURNS:,} are allowed.", "Split it.")
    messages = tuple(_message(item, number) for number, item in enumerate(items, start=1))
    _check_order([message.role for message in messages])
    return messages


def _json_text(text: str) -> object:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        hint = 'Write [{"role": "user", "content": "…"}, …], or choose two text columns instead.'
        raise BadChat("The cell is text, not a list of messages.", hint) from error


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict):
        raise BadChat(f"Message {number} is not an object.", 'Write it as {"role": "user", "content": "…"}.')
    if item.get("tool_calls") or item.get("function_call"):
        raise BadChat(f"Message {number} calls a tool.", "Tool calls cannot be trained yet; leave the row out.")
    role = item.get("role", item.get("from"))
    role = _OTHER_NAMES.get(role, role) if isinstance(role, str) else role
    if role not in _ROLES:
        shown = f"has the role “{str(role)[:50]}”" if role else "has no role"
        raise BadChat(f"Message {number} {shown}.", "Roles are system, user and assistant.")
    content = item.get("content", item.get("value"))
    if isinstance(content, list | dict):
        raise BadChat(f"The content of message {number} is not text.", "Only text can be trained; leave images out.")
    if not isinstance(content, str) or not content.strip():
        raise BadChat(f"Message {number} has no content.", "Fill it or leave the row out.")
    if BAD_TEXT.search(content):
        raise BadChat(f"Message {number} holds a control character or half of a letter.", "Remove it.")
    return Message(role=role, content=content)


def _check_order(roles: list[str]) -> None:
    if not roles:
        raise BadChat("The conversation is empty.", "Fill it or leave the row out.")
    if "assistant" not in roles:
        raise BadChat("No message is the assistant's.", "The model learns from the assistant's messages; add one.")
    turns = roles[1:] if roles[0] == "system" else roles
    if "system" in turns:
        raise BadChat("A system message stands after the beginning.", "Only the first message may be the system's.")
    for number, role in enumerate(turns, start=len(roles) - len(turns) + 1):
        expected = "user" if (number - (len(roles) - len(turns))) % 2 else "assistant"
        if role != expected:
            hint = "User and assistant take turns, the user first."
            raise BadChat(f"Message {number} is the {role}'s where the {expected}'s is due.", hint)
    if turns[-1] != "assistant":
        raise BadChat("The last message is not the assistant's.", "End with the answer the model should learn.")
