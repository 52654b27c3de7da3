"""Rows and tokenizers to preview, and previews written as text that is read by eye."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.tiny import CHAT_TEMPLATE, make_tokenizer
from webapp.contract.preview import PreviewRequest, PreviewRow, Stretch


def lay_rows(path: Path, rows: Sequence[tuple[str, str]], messages: Sequence[Any] = ()) -> Path:
    """As a dataset's version keeps them; the first stands in line 2."""
    columns = {
        "line": pa.array(range(2, len(rows) + 2), pa.int64()),
        "input": pa.array([one for one, _ in rows], pa.string()),
        "output": pa.array([two for _, two in rows], pa.string()),
        "messages": pa.array([json.dumps(one) for one in messages] or [None] * len(rows), pa.string()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def lay_tokenizer(folder: Path, tokenizer: Any = None, *, template: str = CHAT_TEMPLATE) -> Path:
    (tokenizer or make_tokenizer(chat_template=template)).save_pretrained(folder)
    return folder


def make_byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, as the byte-level tokenizers of GPT-2 and Llama 3 write what they have no word for."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", chat_template=CHAT_TEMPLATE)


def request_for(rows: Path, folder: Path, **changed: Any) -> PreviewRequest:
    asked = {"task": "generate", "max_length": 256, "folder": str(folder), "rows": str(rows), **changed}
    return PreviewRequest.model_validate(asked)


def text_of(stretches: Sequence[Stretch]) -> str:
    return "".join(piece.text for one in stretches for piece in [*one.head, *one.tail])


def marked(row: PreviewRow) -> str:
    """`read {trained} [cut]`"""
    signs = {(False, False): "{}", (True, False): "{{{}}}", (False, True): "[{}]", (True, True): "[{{{}}}]"}
    return "".join(signs[one.is_trained, one.is_cut].format(text_of([one])) for one in [*row.reads, *row.writes])
