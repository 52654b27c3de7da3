"""What the model reads of a row, and what of it is trained on. One token a character, so ids are read as text."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tests.tiny import CHAT_TEMPLATE, make_tokenizer
from webapp.contract.rows import Message
from worker.engine.encode import FIRST_PLAIN_TEMPLATE, Encoded, encode_chat, encode_text, plain_template
from worker.engine.errors import TrainingError
from worker.engine.tokenizer import load_tokenizer

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
    tokenizer = make_tokenizer(chat_template=None)
    tokenizer.chat_template = plain_template(tokenizer)
    encoded = encode_chat(tokenizer, chat("s: be kind", "u: hi", "a: yes"), LONG)
    assert read(tokenizer, encoded) == "be kind\nInput: hi\nOutput: YES</S>"
    assert text_of(tokenizer, encoded.prompt) == "be kind\nInput: hi\nOutput:"


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


WORDS = ["▁", "▁Input:", "▁hi", "▁Output:", "\n", "▁yes", "yes", "▁Output", ":", "Output:", "Input:", "<think>"]


def make_spacing_tokenizer(*, begins: bool, chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """Words with the space before them, as SentencePiece has them; `begins`: every text with a token for it."""
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.add_special_tokens(["<pad>", "<s>", "</s>", "<unk>"])
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        chat_template=chat_template,
    )  # fmt: skip


@pytest.mark.parametrize("begins", [True, False])
def test_a_plain_template_begins_as_the_tokenizer_does(tmp_path: Path, begins: bool) -> None:
    make_spacing_tokenizer(begins=begins).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, "generate")
    encoded = encode_chat(tokenizer, chat("u: hi", "a: yes"), LONG)
    assert ("<s>" in read(tokenizer, encoded)) == begins
    assert encoded.ids.count(tokenizer.bos_token_id) == begins == (encoded.prompt[0] == tokenizer.bos_token_id)


def test_a_template_of_its_own_is_given_no_beginning(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '\\n' }}{% endif %}"
    )
    template = template.replace(
        "{{ m['content'] }}", "{{ ('\\n' if m['role'] == 'assistant' else '') + m['content'] }}"
    )
    make_spacing_tokenizer(begins=True, chat_template=template).save_pretrained(tmp_path)
    encoded = encode_chat(load_tokenizer(tmp_path, "generate"), chat("u: hi", "a: yes"), LONG)
    assert 1 not in encoded.ids


def test_prompt_and_answer_are_read_as_one_text_and_the_answer_has_its_space(tmp_path: Path) -> None:
    make_spacing_tokenizer(begins=False).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, "generate")
    encoded = encode_chat(tokenizer, chat("u: hi", "a: yes"), LONG)
    pieces = tokenizer.convert_ids_to_tokens(encoded.ids)
    learnt = [piece for piece, is_trained in zip(pieces, encoded.trained, strict=True) if is_trained]
    assert learnt == ["▁yes", "</s>"]
    assert encoded.prompt == encoded.ids[: len(encoded.prompt)]
    assert encoded.ids == tokenizer("Input: hi\nOutput: yes</s>", add_special_tokens=False)["input_ids"]


def test_the_first_version_stays_what_it_was(tmp_path: Path) -> None:
    make_spacing_tokenizer(begins=True).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, "generate", 1)
    assert tokenizer.chat_template == FIRST_PLAIN_TEMPLATE
    encoded = encode_chat(tokenizer, chat("u: hi", "a: yes"), LONG)
    parts = ("Input: hi\nOutput: ", "yes</s>")
    assert encoded.ids == [id for part in parts for id in tokenizer(part, add_special_tokens=False)["input_ids"]]
    assert encoded.prompt == tokenizer(parts[0], add_special_tokens=False)["input_ids"]


THINKING = (
    "{% for m in messages %}{{ '<' + m['role'][0] + '>' }}"
    "{% if m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<a>' }}{% endif %}"
)
"""As Qwen3 has it: an empty block of thoughts before each answer, which the prompt to answer lacks."""
STARTED = THINKING.replace("{{ '<a>' }}", "{{ '<a><think>\n' }}")


@pytest.mark.parametrize("template", [THINKING, STARTED])
def test_a_template_s_own_empty_thoughts_are_not_learnt_and_stand_in_the_prompt(template: str) -> None:
    tokenizer = make_tokenizer(chat_template=template)
    encoded = encode_chat(tokenizer, chat("u: hi", "a: yes"), LONG)
    learnt = [id for id, is_trained in zip(encoded.ids, encoded.trained, strict=True) if is_trained]
    assert text_of(tokenizer, learnt) == "yes</s>"
    assert encoded.opening.endswith("</think>\n\n")
    messages = [{"role": "user", "content": "hi"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert encoded.prompt == tokenizer(prompt + encoded.opening, add_special_tokens=False)["input_ids"]


def test_thoughts_that_a_row_has_are_learnt() -> None:
    tokenizer = make_tokenizer()
    encoded = encode_chat(tokenizer, chat("u: hi", "a: <think>\n\n</think>\n\nyes"), LONG)
    assert encoded.opening == "" and text_of(tokenizer, encoded.prompt) == "<u>hi</s><a>"
    assert encoded.trained == [False] * len(encoded.prompt) + [True] * (len(encoded.ids) - len(encoded.prompt))
