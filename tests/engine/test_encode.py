"""What is trained on, shown by eye: `<u>input</s><a>output</s>`, one token a character."""

import pytest

from tests.tiny import make_tokenizer
from webapp.contract.rows import Message
from worker.engine.encode import PLAIN_TEMPLATE, Encoded, encode_chat, encode_text
from worker.engine.errors import TrainingError

TOKENIZER = make_tokenizer()


def chat(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=content) for role, content in turns]  # type: ignore[arg-type]


def shown(encoded: Encoded) -> str:
    """Trained tokens in brackets' place: upper line the text, lower line a ^ under each trained character."""
    tokens = TOKENIZER.convert_ids_to_tokens(encoded.ids)
    return "".join(f"[{token}]" if trained else token for token, trained in zip(tokens, encoded.trained, strict=True))


def test_only_the_answer_and_its_end_are_trained_on() -> None:
    encoded = encode_chat(TOKENIZER, chat(("user", "ab"), ("assistant", "xy")), 100)
    assert shown(encoded) == "<u>ab</s><a>[x][y][</s>]"
    assert TOKENIZER.convert_ids_to_tokens(encoded.prompt) == ["<u>", "a", "b", "</s>", "<a>"]


def test_every_answer_of_a_conversation_is_trained_on() -> None:
    turns = chat(("user", "a"), ("assistant", "x"), ("user", "b"), ("assistant", "y"))
    encoded = encode_chat(TOKENIZER, turns, 100)
    assert shown(encoded) == "<u>a</s><a>[x][</s>]<u>b</s><a>[y][</s>]"
    assert len(encoded.prompt) == len(encoded.ids) - 2


def test_what_is_too_long_loses_its_start_and_keeps_its_answer() -> None:
    encoded = encode_chat(TOKENIZER, chat(("user", "abcdef"), ("assistant", "xy")), 6)
    assert encoded.is_truncated
    assert shown(encoded) == "f</s><a>[x][y][</s>]"


def test_text_for_a_classifier_is_cut_at_its_end() -> None:
    encoded = encode_text(TOKENIZER, "abcdef", 1, 3)
    assert encoded.is_truncated and encoded.label == 1
    assert TOKENIZER.decode(encoded.ids) == "abc"


def test_a_base_without_a_template_gets_a_plain_one() -> None:
    tokenizer = make_tokenizer(chat_template=PLAIN_TEMPLATE)
    encoded = encode_chat(tokenizer, chat(("user", "ab"), ("assistant", "xy")), 100)
    assert tokenizer.decode(encoded.prompt) == "Input: ab\nOutput: "
    trained = [token for token, is_trained in zip(encoded.ids, encoded.trained, strict=True) if is_trained]
    assert tokenizer.decode(trained) == "xy</s>"


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    tokenizer = make_tokenizer(
        chat_template="{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    with pytest.raises(TrainingError, match="rewrites earlier turns"):
        encode_chat(tokenizer, chat(("user", "a"), ("assistant", "x")), 100)
