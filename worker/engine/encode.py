"""Rows to token ids. Ids and the mask of what is trained on grow together, so neither can exist without the other."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from jinja2 import TemplateError

from webapp.contract.rows import Message
from webapp.contract.tasks import Task
from worker.engine.errors import TrainingError

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'Input: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] + '\\n' }}"
    "{% else %}{{ 'Output: ' + message['content'] + eos_token + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Output: ' }}{% endif %}"
)
"""For base models that bring no chat template; it ships with the adapter, so that use is like training."""

_REWRITES = "The base model's chat template rewrites earlier turns. Use another base model."

_TEMPLATE_FAULTS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""A template is a program, and fails like one."""

Tokenizer = Any
RowEncoder = Callable[[dict[str, Any]], "Encoded"]


class Encoded(NamedTuple):
    """One row as the model sees it. `trained[i]` says whether the loss asks for `ids[i]`; `prompt` is what stands
    before the last answer. `label` is the class for the task classify, else -1."""

    ids: list[int]
    trained: list[bool]
    prompt: list[int]
    label: int = -1
    is_truncated: bool = False
    target: list[int] = []
    """What the decoder of an encoder-decoder shall write; `ids` is then what its encoder reads."""

    @property
    def length(self) -> int:
        """Tokens that go through the model."""
        return len(self.ids) + len(self.target)

    @property
    def num_labels(self) -> int:
        """What the loss is the mean over."""
        if self.label >= 0:
            return 1
        return len(self.target) or sum(self.trained)


def row_encoder(task: Task, max_length: int, tokenizer: Tokenizer, labels: list[str]) -> RowEncoder:
    """What each row of a job, in the columns of rows.parquet, becomes."""
    numbers = {label: number for number, label in enumerate(labels)}

    def encode(row: dict[str, Any]) -> Encoded:
        if task == "classify":
            return encode_text(tokenizer, row["input"], numbers[row["output"]], max_length)
        if task == "transform":
            return encode_pair(tokenizer, row["input"], row["output"], max_length)
        try:
            encoded = encode_chat(tokenizer, messages_of(row), max_length)
        except TrainingError as error:
            raise TrainingError(error.code, f"Line {row['line']}: {error.message}") from error
        if not any(encoded.trained):
            message = f"Line {row['line']}: the base model's chat template leaves nothing to train on. Use another one."
            raise TrainingError("template", message)
        return encoded

    return encode


def messages_of(row: dict[str, Any]) -> list[Message]:
    """A row's conversation: its own, or its input and output as one exchange."""
    if row["messages"]:
        return [Message(**message) for message in json.loads(row["messages"])]
    return [Message(role="user", content=row["input"]), Message(role="assistant", content=row["output"])]


def encode_chat(tokenizer: Tokenizer, messages: list[Message], max_length: int) -> Encoded:
    """Render with the tokenizer's own template; only assistant answers, with their end of turn, are trained on.

    What is longer than `max_length` loses its start, but the last answer keeps a quarter of it as its prompt.
    Raises TrainingError for a template that cannot be cut in turns or refuses the conversation.
    """
    ids: list[int] = []
    trained: list[bool] = []
    prompt: list[int] = []

    def add(text: str, *, is_trained: bool) -> None:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids.extend(tokens)
        trained.extend([is_trained] * len(tokens))

    done = ""
    for turn, message in enumerate(messages):
        if message.role != "assistant":
            continue
        before = _render(tokenizer, messages[:turn], add_generation_prompt=True)
        after = _render(tokenizer, messages[: turn + 1], add_generation_prompt=False)
        if not (before.startswith(done) and after.startswith(before)):
            raise TrainingError("template", _REWRITES)
        add(before[len(done) :], is_trained=False)
        prompt = list(ids)
        # The template's own end of turn is learnt, so that the model knows when to stop; white space after it is not.
        answer = after[len(before) :]
        add(answer.rstrip("\n"), is_trained=True)
        done = before + answer.rstrip("\n")
    if ids and ids[-1] != tokenizer.eos_token_id is not None:
        # The template ends turns with another token, or with none; generation stops on this one.
        ids.append(tokenizer.eos_token_id)
        trained.append(True)
    begin = max(0, min(len(ids) - max_length, len(prompt) - max_length // 4))
    kept = slice(begin, begin + max_length)
    return Encoded(ids[kept], trained[kept], prompt[begin:], is_truncated=len(ids) > max_length)


def encode_text(tokenizer: Tokenizer, text: str, label: int, max_length: int) -> Encoded:
    """A text with its special tokens, cut at the end where it is too long, as encoders are trained to read."""
    ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
    is_truncated = len(ids) == max_length and len(tokenizer(text)["input_ids"]) > max_length
    return Encoded(ids, [True] * len(ids), ids, label, is_truncated)


def encode_pair(tokenizer: Tokenizer, text: str, output: str, max_length: int) -> Encoded:
    """What an encoder reads and what a decoder shall write, each with its end, each cut at the end where too long."""
    ids, target = (_ended(tokenizer, tokenizer(one)["input_ids"]) for one in (text, output))
    is_truncated = max(len(ids), len(target)) > max_length
    ids, target = (one if len(one) <= max_length else [*one[: max_length - 1], one[-1]] for one in (ids, target))
    return Encoded(ids, [False] * len(ids), ids, is_truncated=is_truncated, target=target)


def _ended(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    return ids if ids and ids[-1] == tokenizer.eos_token_id else [*ids, tokenizer.eos_token_id]


def _render(tokenizer: Tokenizer, messages: list[Message], *, add_generation_prompt: bool) -> str:
    turns = [message.model_dump() for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
    except _TEMPLATE_FAULTS as error:
        reason = str(error)[:300].rstrip(".") or type(error).__name__
        message = f"The base model's chat template refuses this conversation: {reason}. Change it or the base model."
        raise TrainingError("template", message) from error
    return text
