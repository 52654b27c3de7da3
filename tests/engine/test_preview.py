"""What the model will see: the very tokens that the engine trains on, readable, with what is learnt and what is cut."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors

from tests.engine.previews import lay_rows, lay_tokenizer, make_byte_tokenizer, marked, request_for, text_of
from tests.tiny import make_tokenizer
from webapp.contract.preview import HugeRow, Preview, PreviewRow
from webapp.contract.rows import Message
from worker.engine.encode import encode_chat
from worker.engine.errors import TrainingError
from worker.engine.pieces import SHOWN_AT_EITHER_END
from worker.engine.rendering import HUGE_CHARACTERS, render
from worker.engine.tokenizer import load_tokenizer


def preview(tmp_path: Path, rows: list[tuple[str, str]], tokenizer: Any = None, **changed: Any) -> Preview:
    folder = lay_tokenizer(tmp_path / "base", tokenizer)
    return render(request_for(lay_rows(tmp_path / "rows.parquet", rows), folder, **changed))


def only_row(told: Preview) -> PreviewRow:
    (row,) = told.rows
    assert isinstance(row, PreviewRow)
    return row


def ending_tokenizer(single: str) -> Any:
    tokenizer = make_tokenizer(chat_template=None)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("[CLS]", 5), ("[SEP]", 6), ("</s>", 1)]
    )
    return tokenizer


def test_a_conversation_shows_its_template_and_what_is_learnt(tmp_path: Path) -> None:
    row = only_row(preview(tmp_path, [("hi", "good day")]))
    assert marked(row) == "<u>hi</s><a>{good day</s>}"
    assert (row.num_tokens, row.num_trained, row.num_cut) == (14, 9, 0)
    assert [piece.text for piece in row.reads[0].head if piece.is_special] == ["<u>", "</s>", "<a>"]


def test_the_tokens_are_those_of_training(tmp_path: Path) -> None:
    row = only_row(preview(tmp_path, [("where is it", "over there")], max_length=12))
    tokenizer = load_tokenizer(tmp_path / "base", "generate")
    turns = [Message(role="user", content="where is it"), Message(role="assistant", content="over there")]
    encoded = encode_chat(tokenizer, turns, 12)
    kept = [id for one in row.reads if not one.is_cut for piece in one.head for id in piece.ids]
    assert kept == encoded.ids
    assert row.num_trained == sum(encoded.trained)


def test_a_long_conversation_loses_its_start_and_then_its_end(tmp_path: Path) -> None:
    row = only_row(preview(tmp_path, [("where is it", "over there")], max_length=12))
    assert marked(row) == "[<u>where is i]t</s><a>{over ther}[{e</s>}]"
    assert row.num_cut == row.num_tokens - 12


def test_a_classified_text_keeps_its_marks_and_loses_its_end(tmp_path: Path) -> None:
    tokenizer = ending_tokenizer("[CLS] $A [SEP]")
    row = only_row(preview(tmp_path, [("abcdef", "yes")], tokenizer, task="classify", max_length=6))
    assert marked(row) == "[CLS]abcd[ef][SEP]"
    assert (row.label, row.num_trained) == ("yes", 0)


def test_a_transformed_text_shows_both_sides(tmp_path: Path) -> None:
    tokenizer = ending_tokenizer("$A </s>")
    row = only_row(preview(tmp_path, [("abcdef", "uvwxyz")], tokenizer, task="transform", max_length=4))
    assert marked(row) == "abc[def]</s>{uvw}[{xyz}]{</s>}"


@pytest.mark.parametrize(
    "text", ["naïve café", "日本語 and 👩‍👩‍👧 text", " two  spaces\n\tand a tab ", "\ufffd odd \ufffd"]
)
def test_the_pieces_put_together_are_the_text(tmp_path: Path, text: str) -> None:
    row = only_row(preview(tmp_path, [(text, text)], make_byte_tokenizer()))
    assert text_of(row.reads) == f"<u>{text}</s><a>{text}</s>"


def test_a_character_of_several_tokens_is_one_piece(tmp_path: Path) -> None:
    row = only_row(preview(tmp_path, [("x", "é")], make_byte_tokenizer()))
    assert [(piece.text, len(piece.ids)) for piece in row.reads[1].head] == [("é", 2), ("</s>", 1)]


def test_the_first_the_longest_and_a_random_row_are_shown(tmp_path: Path) -> None:
    rows = [(f"question {number}", "yes") for number in range(30)]
    rows[20] = ("the longest of all the questions", "yes")
    told = preview(tmp_path, rows)
    assert [row.which for row in told.rows] == [("first",), ("longest",), ("random",)]
    assert [row.line for row in told.rows][:2] == [2, 22]
    rows[0], rows[20] = rows[20], rows[0]
    told = preview(tmp_path, rows)
    assert [row.which for row in told.rows] == [("first", "longest"), ("random",), ("random",)]


def test_it_counts_how_many_rows_would_be_cut(tmp_path: Path) -> None:
    told = preview(tmp_path, [("a" * length, "b") for length in range(1, 21)], max_length=16)
    # Five more tokens than the input has letters.
    assert (told.num_rows, told.num_counted, told.num_cut) == (20, 20, 9)
    assert (told.max_tokens, told.mean_tokens) == (25, 15.5)
    assert sum(one.rows for one in told.bins) == 20
    assert told.bins[-1].high >= 25


def test_a_huge_row_is_named_and_not_rendered(tmp_path: Path) -> None:
    told = preview(tmp_path, [("short", "yes"), ("a" * (HUGE_CHARACTERS + 1), "no")])
    assert told.rows[1] == HugeRow(which=("longest",), line=3, num_characters=HUGE_CHARACTERS + 3)
    assert (told.num_counted, told.num_huge, told.num_cut) == (2, 1, 1)


def test_of_a_long_row_only_the_ends_are_told(tmp_path: Path) -> None:
    row = only_row(preview(tmp_path, [("a" * 5000, "b")], max_length=8192))
    read = row.reads[0]
    assert len(read.head) == len(read.tail) == SHOWN_AT_EITHER_END
    assert len(read.head) + read.num_hidden + len(read.tail) == row.num_tokens - row.num_trained


def test_a_row_that_the_template_refuses_is_named(tmp_path: Path) -> None:
    folder = lay_tokenizer(tmp_path / "base", template="{{ raise_exception('no turns, please') }}")
    rows = lay_rows(tmp_path / "rows.parquet", [("hi", "you")])
    with pytest.raises(TrainingError, match=r"Line 2: .*no turns, please"):
        render(request_for(rows, folder))


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ messages + 1 }}", "{{ raise_exception('x' * 10**6) }}"])
def test_a_template_that_breaks_is_no_fault_of_ours(tmp_path: Path, template: str) -> None:
    folder = lay_tokenizer(tmp_path / "base", template=template)
    with pytest.raises(TrainingError, match="chat template refuses") as refused:
        render(request_for(lay_rows(tmp_path / "rows.parquet", [("hi", "you")]), folder))
    assert len(refused.value.message) < 500


def test_rows_that_are_gone_or_damaged_are_told(tmp_path: Path) -> None:
    folder = lay_tokenizer(tmp_path / "base")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and nothing more")
    for name in ("gone.parquet", "damaged.parquet"):
        with pytest.raises(TrainingError, match="missing or damaged"):
            render(request_for(tmp_path / name, folder))
