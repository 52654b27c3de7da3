"""Renders rows for a page exactly as the engine encodes them for training, and counts how long they are."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webapp.contract.preview import Bin, HugeRow, Preview, PreviewRequest, PreviewRow, Which
from worker.engine.encode import Encoded, Tokenizer, row_encoder
from worker.engine.pieces import Seen, stretches_of
from worker.engine.row_choice import SAMPLE_CHARACTERS, Rows
from worker.engine.tokenizer import load_tokenizer

HUGE_CHARACTERS = 100_000
"""No base model reads so much, and no person; to render it would take minutes."""
NUM_BINS = 8
_ENDLESS = 1_000_000_000


def render(request: PreviewRequest) -> Preview:
    """Raises TrainingError for whatever would also end a job."""
    rows, dice = Rows(Path(request.rows)), random.Random(request.seed)
    shown, sample = rows.shown(dice), _bounded(rows, rows.sample(dice))
    counted = [number for number in sample if not _is_huge(rows, number)]
    read = rows.read({*shown, *counted})
    # Which number a label gets is of no concern here.
    labels = sorted({row["output"] for row in read.values()})
    renderer = _Renderer(request, load_tokenizer(Path(request.folder), request.task, request.text_version), labels)
    lengths = [renderer.length(read[number]) for number in counted]
    num_huge = len(sample) - len(counted)
    return Preview(
        task=request.task,
        max_length=request.max_length,
        rows=tuple(
            HugeRow(which=which, line=read[number]["line"], num_characters=rows.num_characters[number])
            if _is_huge(rows, number)
            else renderer.row(which, read[number])
            for number, which in shown.items()
        ),
        num_rows=len(rows.num_characters),
        num_counted=len(sample),
        num_huge=num_huge,
        num_cut=num_huge + sum(length > request.max_length for length in lengths),
        mean_tokens=sum(lengths) / max(1, len(lengths)),
        max_tokens=max(lengths, default=0),
        bins=_bins(lengths),
    )


def _is_huge(rows: Rows, number: int) -> bool:
    return rows.num_characters[number] > HUGE_CHARACTERS


def _bounded(rows: Rows, sample: list[int]) -> list[int]:
    left, end = SAMPLE_CHARACTERS, 0
    while end < len(sample) and left > 0:
        left -= min(rows.num_characters[sample[end]], HUGE_CHARACTERS)
        end += 1
    return sample[:end]


class _Renderer:
    """Encodes each row twice by the engine's own hands: as it is trained on, and as if there were no limit."""

    def __init__(self, request: PreviewRequest, tokenizer: Tokenizer, labels: list[str]) -> None:
        self.request, self.tokenizer = request, tokenizer
        self._kept = row_encoder(request.task, request.max_length, tokenizer, labels)
        self._whole = row_encoder(request.task, _ENDLESS, tokenizer, labels)

    def length(self, row: dict[str, Any]) -> int:
        """What the limit is compared with."""
        whole = self._whole(row)
        return max(len(whole.ids), len(whole.target))

    def row(self, which: tuple[Which, ...], row: dict[str, Any]) -> PreviewRow:
        whole, kept = self._whole(row), self._kept(row)
        task = self.request.task
        trained = [False] * len(whole.ids) if task == "classify" else whole.trained
        is_cut = _cut_of_chat(whole, kept) if task == "generate" else _cut(whole.ids, kept.ids)
        reads = _seen(whole.ids, trained, is_cut)
        writes = _seen(whole.target, [True] * len(whole.target), _cut(whole.target, kept.target))
        both = [*reads, *writes]
        return PreviewRow(
            which=which,
            line=row["line"],
            reads=stretches_of(self.tokenizer, reads),
            writes=stretches_of(self.tokenizer, writes),
            label=row["output"] if task == "classify" else "",
            num_tokens=len(both),
            num_trained=sum(token.is_trained and not token.is_cut for token in both),
            num_cut=sum(token.is_cut for token in both),
        )


def _seen(ids: Sequence[int], trained: Sequence[bool], is_cut: Sequence[bool]) -> list[Seen]:
    return [Seen(*told) for told in zip(ids, trained, is_cut, strict=True)]


def _cut_of_chat(whole: Encoded, kept: Encoded) -> list[bool]:
    """Which tokens of the whole row the limit takes away: of a conversation the start, and maybe the end."""
    begin = len(whole.prompt) - len(kept.prompt)
    return [not begin <= at < begin + len(kept.ids) for at in range(len(whole.ids))]


def _cut(whole: Sequence[int], kept: Sequence[int]) -> list[bool]:
    """A text keeps its beginning, and the tokens that end it."""
    begin = next((at for at, (one, other) in enumerate(zip(whole, kept, strict=False)) if one != other), len(kept))
    end = len(whole) - (len(kept) - begin)
    return [begin <= at < end for at in range(len(whole))]


def _bins(lengths: list[int]) -> tuple[Bin, ...]:
    """Rows by their number of tokens, in steps of a round number."""
    if not lengths:
        return ()
    step = max(1, -(-max(lengths) // NUM_BINS))
    counts = [0] * -(-max(lengths) // step)
    for length in lengths:
        counts[max(0, length - 1) // step] += 1
    return tuple(Bin(low=at * step + 1, high=(at + 1) * step, rows=rows) for at, rows in enumerate(counts))
