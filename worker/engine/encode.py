"""Rows to token ids. Ids and the mask of what is trained on grow together, so neither can exist without the other."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from jinja2 import TemplateError

from webapp.contract.rows import Message
from webapp.contract.tasks import Task
from webapp.contract.version import TEXT_VERSION
from worker.engine.errors import TrainingError

FIRST_PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'Input: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] + '\\n' }}"
    "{% else %}{{ 'Output: ' + message['content'] + eos_token + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Output: ' }}{% endif %}"
)
"""For base models that bring no chat template, as text version 1 had it: its prompt ends with a space, which most
tokenizers join with the answer's first word."""
_PLAIN_TEMPLATE = FIRST_PLAIN_TEMPLATE.replace("{{ 'Output: ' }}", "{{ 'Output:' }}")

_EMPTY_THINKING = re.compile(r"\s*<think>\s*</think>\s*")
_THINKING_ENDS = re.compile(r"\s*</think>\s*")

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
    opening: str = ""
    """What the template itself writes between its prompt to answer and the last answer; a part of `prompt`."""

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


def plain_template(tokenizer: Tokenizer) -> str:
    """For base models that bring no chat template; it ships with the adapter, so that use is like training. It begins
    a text with the token that this tokenizer begins every text with, if it has one."""
    begins = tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]
    return ("{{ bos_token }}" if begins else "") + _PLAIN_TEMPLATE


def encode_chat(tokenizer: Tokenizer, messages: list[Message], max_length: int) -> Encoded:
    """Render with the tokenizer's own template; only assistant answers, with their end of turn, are trained on.

    What is longer than `max_length` loses its start, but the last answer keeps a quarter of it as its prompt.
    Raises TrainingError for a template that cannot be cut in turns or refuses the conversation.
    """
    if getattr(tokenizer, "text_version", TEXT_VERSION) == 1:
        return _encode_parts(tokenizer, messages, max_length)
    text, openings, answers = "", [""], []
    for turn, message in enumerate(messages):
        if message.role != "assistant":
            continue
        before = _render(tokenizer, messages[:turn], add_generation_prompt=True)
        after = _render(tokenizer, messages[: turn + 1], add_generation_prompt=False)
        if not (before.startswith(text) and after.startswith(before)):
            raise TrainingError("template", _REWRITES)
        answer = after[len(before) :]
        openings.append(_opening(before, answer, message.content))
        begin = len(before) + len(openings[-1])
        # The template's own end of turn is learnt, so that the model knows when to stop; white space after it is not.
        end = max(begin, len(before) + len(answer.rstrip("\n")))
        answers.append((begin, end))
        text = after[:end]
    if not answers:
        return Encoded([], [], [])
    ids, ends = _tokens(tokenizer, text, answers)
    # A token belongs to an answer as soon as one of its characters does, such as the space before the first word.
    trained = [any(begin < end and start < stop for begin, stop in answers) for start, end in ends]
    first = next((at for at, (_start, end) in enumerate(ends) if end > answers[-1][0]), len(ids))
    prompt = tokenizer(text[: answers[-1][0]], add_special_tokens=False)["input_ids"]
    return _ended_and_cut(tokenizer, ids, trained, prompt, first, max_length)._replace(opening=openings[-1])


def _tokens(tokenizer: Tokenizer, text: str, answers: list[tuple[int, int]]) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids, and of each token where it starts and ends in the text. A tokenizer that cannot tell where reads each part
    by itself."""
    if tokenizer.is_fast:
        read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        # Byte-level tokenizers leave white space out of where a token starts; a token of nothing else is then empty.
        return read["input_ids"], [(min(start, end - 1), end) for start, end in read["offset_mapping"]]
    ids: list[int] = []
    places: list[tuple[int, int]] = []
    cuts = [0, *(at for answer in answers for at in answer)]
    for start, end in pairwise(cuts):
        part = tokenizer(text[start:end], add_special_tokens=False)["input_ids"]
        ids.extend(part)
        places.extend([(start, end)] * len(part))
    return ids, places


def _opening(before: str, answer: str, content: str) -> str:
    """An empty block of thoughts that the template, and not the row, puts before an answer."""
    found = _EMPTY_THINKING.match(answer)
    if found is None and before.rstrip().endswith("<think>"):
        found = _THINKING_ENDS.match(answer)
    if found is None or "</think>" in content:
        return ""
    return found[0].removesuffix(content[: len(content) - len(content.lstrip())])


def _encode_parts(tokenizer: Tokenizer, messages: list[Message], max_length: int) -> Encoded:
    """As text version 1 did it: each part of a conversation by itself."""
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
    return _ended_and_cut(tokenizer, ids, trained, prompt, len(prompt), max_length)


def _ended_and_cut(
    tokenizer: Tokenizer, ids: list[int], trained: list[bool], prompt: list[int], first: int, max_length: int
) -> Encoded:
    """`first`: the last answer's first token."""
    if ids and ids[-1] != tokenizer.eos_token_id is not None:
        # The template ends turns with another token, or with none; generation stops on this one.
        ids.append(tokenizer.eos_token_id)
        trained.append(True)
    begin = max(0, min(len(ids) - max_length, first - max_length // 4))
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
