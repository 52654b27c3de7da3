"""What the model reads of a row, and what of it is trained on. One token a character, so ids are read as text."""

from typing import Any

import pytest

from tests.tiny import CHAT_TEMPLATE, make_tokenizer
from webapp.contract.rows import Message
from worker.engine.encode import PLAIN_TEMPLATE, Encoded, encode_chat, encode_text
from worker.engine.errors import TrainingError

LONG = 256


def chat(*turns: str) -> list[Message]:
    """`u: hello` is a message of the user."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [Message.model_validate({"role": roles[turn[0]], "content": turn[3:]}) for turn in turns]


def read(tokenizer: Any, encoded: Encoded) -> str:
    """The ids as text, with what is trained on in capitals."""
    pieces = tokenizer.convert_ids_to_tokens(encoded.ids)
    pairs = zip(pieces, encoded.trained, strict=True)
    return "".join(piece.upper() if is_trained else piece for piece, is_trained in pairs)


def text_of(tokenizer: Any, ids: list[int]) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(ids))


def test_only_the_answer_and_its_end_are_trained_on() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("u: hi you", "a: good day"), LONG)
    assert read(tokenizer, encoded) == "<u>hi you</s><a>GOOD DAY</S>"
    assert text_of(tokenizer, encoded.prompt) == "<u>hi you</s><a>"
    assert encoded.ids[-1] == tokenizer.eos_token_id
    assert not encoded.is_truncated
    assert encoded.label == -1


def test_of_a_conversation_every_answer_is_trained_on_and_the_last_is_asked_for() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("s: be kind", "u: hi", "a: yes", "u: and", "a: no"), LONG)
    assert read(tokenizer, encoded) == "<unk>s<unk>be kind</s><u>hi</s><a>YES</S><u>and</s><a>NO</S>"
    assert text_of(tokenizer, encoded.prompt) == "<unk>s<unk>be kind</s><u>hi</s><a>yes</s><u>and</s><a>"


def test_training_reads_what_use_will_read() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("u: one", "a: two", "u: three", "a: four"), LONG)
    messages = [message.model_dump() for message in chat("u: one", "a: two", "u: three")]
    assert encoded.prompt == tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]


def test_a_long_row_loses_its_start_and_keeps_its_answer() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("u: abcdefghijklmnopq", "a: xyz"), 16)
    assert read(tokenizer, encoded) == "hijklmnopq</s><a>XYZ</S>"
    assert len(encoded.ids) == 16
    assert encoded.ids[: len(encoded.prompt)] == encoded.prompt
    assert encoded.is_truncated


def test_an_answer_too_long_for_itself_keeps_a_quarter_of_the_room_for_its_prompt() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("u: abcdef", "a: abcdefghijklmnopqrstuvwxyz"), 16)
    assert read(tokenizer, encoded) == "ef</s><a>ABCDEFGHIJKL"
    assert text_of(tokenizer, encoded.prompt) == "ef</s><a>"


def test_white_space_after_the_end_of_turn_is_not_learnt() -> None:
    template = CHAT_TEMPLATE.replace("'</s>'", "'</s>\\n'")
    tokenizer = make_tokenizer(chat_template=template)
    encoded = encode_chat(tokenizer, chat("u: a", "a: b", "u: c", "a: d"), LONG)
    assert read(tokenizer, encoded) == "<u>a</s>\n<a>B</S>\n<u>c</s>\n<a>D</S>"


def test_an_answer_always_ends_with_the_token_that_ends_generation() -> None:
    """Some templates end a turn with another token, or only with a new line."""
    template = "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '\n' }}{% endfor %}"
    tokenizer = make_tokenizer(chat_template=template + "{% if add_generation_prompt %}a:{% endif %}")
    encoded = encode_chat(tokenizer, chat("u: hi", "a: yes"), LONG)
    assert read(tokenizer, encoded) == "u:hi\na:YES</S>"


def test_a_base_without_a_template_gets_a_plain_one() -> None:
    tokenizer = make_tokenizer(chat_template=PLAIN_TEMPLATE)
    encoded = encode_chat(tokenizer, chat("s: be kind", "u: hi", "a: yes"), LONG)
    assert read(tokenizer, encoded) == "be kind\nInput: hi\nOutput: YES</S>"


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(TrainingError, match="rewrites earlier turns") as caught:
        encode_chat(make_tokenizer(chat_template=template), chat("u: hi", "a: yes"), LONG)
    assert caught.value.code == "template"


def test_a_template_that_refuses_a_conversation_is_quoted() -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system here') }}{% endif %}"
    with pytest.raises(TrainingError, match="No system here") as caught:
        encode_chat(make_tokenizer(chat_template=template), chat("s: be kind", "u: hi", "a: yes"), LONG)
    assert caught.value.code == "template"


def test_a_text_to_label_is_cut_at_its_end() -> None:
    tokenizer = make_tokenizer(chat_template=None)
    whole, cut = (encode_text(tokenizer, "abcdef", 1, length) for length in (6, 4))
    assert (text_of(tokenizer, whole.ids), whole.is_truncated, whole.label) == ("abcdef", False, 1)
    assert (text_of(tokenizer, cut.ids), cut.is_truncated) == ("abcd", True)
