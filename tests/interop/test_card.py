"""The model card's own lines, run among AdapterHub's library, answer as the engine does."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.bottlenecks import CELLS, LABELS, BottleneckCell, base_of, built, with_random_weights
from tests.interop.library import run
from webapp.contract.rows import Message
from worker.engine.encode import Encoded, Tokenizer, encode_chat, encode_pair, encode_text
from worker.engine.measure import measure
from worker.engine.methods.adapterhub import save_bottleneck
from worker.engine.methods.full import save_full
from worker.engine.save import save_tokenizer
from worker.engine.snippets import Usage, snippet_of
from worker.engine.tokenizer import load_tokenizer

pytestmark = pytest.mark.interop

FRESH = Path(__file__).parent.parent / "engine" / "fresh.py"
MAX_LENGTH = 100
TEXTS = ["a", "some words", "a longer line of words to look at", "words without an end " * 30]
"""The last one is longer than any of the models reads."""
NUM_TOKENS = 12


Said = dict[BottleneckCell, tuple[list[str], list[str]]]
"""What the engine answers, and what the card's lines print."""


@pytest.fixture(scope="module")
def all_said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    folders = {cell: tmp_path_factory.mktemp("card") for cell in CELLS}
    ours = [said_here(cell, folder) for cell, folder in folders.items()]
    told = run(FRESH, [order_of(cell, folder) for cell, folder in folders.items()])
    assert told["ours"] == []
    return {cell: (here, there["said"]) for cell, here, there in zip(CELLS, ours, told["results"], strict=True)}


def said_here(cell: BottleneckCell, folder: Path) -> list[str]:
    """The adapter's folder is made on the way, with all that ships in it and matters here."""
    model = with_random_weights(built(cell, folder / "base")).eval()
    tokenizer = load_tokenizer(folder / "base", cell.task)
    (folder / "adapter").mkdir()
    save_bottleneck(model, folder / "adapter", "some/base")
    save_tokenizer(tokenizer, folder / "adapter")
    save_full(base_of(cell, folder / "base"), folder / "handed", "some/base")
    return measure(
        model,
        tokenizer,
        [row_of(cell, tokenizer, text) for text in TEXTS],
        labels=LABELS if cell.has_head else [],
        max_new_tokens=NUM_TOKENS,
        divisor=1,
        heed=lambda: None,
        progress=lambda _done: None,
    ).answers


def row_of(cell: BottleneckCell, tokenizer: Tokenizer, text: str) -> Encoded:
    if cell.task == "classify":
        return encode_text(tokenizer, text, 0, MAX_LENGTH)
    if cell.task == "transform":
        return encode_pair(tokenizer, text, "yes", MAX_LENGTH)
    row = encode_chat(tokenizer, [Message(role="user", content=text), Message(role="assistant", content="")], 10_000)
    ids, trained, prompt = (one[-MAX_LENGTH:] for one in (row.ids, row.trained, row.prompt))
    return row._replace(ids=ids, trained=trained, prompt=prompt)


def order_of(cell: BottleneckCell, folder: Path) -> dict[str, Any]:
    labels = LABELS if cell.has_head else []
    usage = Usage(
        "bottleneck",
        cell.task,
        str(folder / "handed"),
        is_decoder=cell.kind not in ("bert", "roberta", "t5"),
        max_length=MAX_LENGTH,
        max_new_tokens=NUM_TOKENS,
        labels=tuple(labels),
    )
    code = snippet_of(usage)
    return {"code": code.replace("ADAPTER_FOLDER", str(folder / "adapter")), "inputs": TEXTS, "merges": False}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_card_s_lines_say_what_the_engine_says(cell: BottleneckCell, all_said: Said) -> None:
    here, there = all_said[cell]
    assert there == here
    assert all(here)
