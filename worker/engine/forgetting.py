"""What a model loses of what it knew: sixty general texts that ship with the engine, read without and with the adapter.

A model that writes is asked how well it foretells them, as they are, without a chat template. One that chooses labels
has no loss on plain text; of it we tell how far the texts' representations moved. The texts are our own (CC0).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from webapp.contract.tasks import Task
from webapp.contract.verdict import Forgetting, Light
from worker.engine.bootstrap import Floats, interval, weighted_mean
from worker.engine.encode import Encoded, Tokenizer, encode_pair, encode_text
from worker.engine.forward import Model
from worker.engine.generate import Heed
from worker.engine.measure import losses_of, pieces
from worker.engine.representation import text_directions

TEXTS = Path(__file__).with_name("general_text.jsonl")
MOST_TOKENS = 128
A_FEW = slice(None, None, 5)
"""Of all kinds and languages some; cheap enough to be read while training."""
SMALLER_PIECES = 8
"""Every token is foretold here, so logits, not hidden states, fill the memory."""
DIGITS = 5
"""To which the directions are kept: they travel in every checkpoint."""

LIMITS: dict[str, tuple[float, float]] = {"loss": (0.05, 0.3), "drift": (0.25, 0.75)}
"""Up to the first it is green, up to the second yellow. Telling labels apart moves representations, whatever the
method: MiniLM on 280 rows of six labels drifts by 0.2 (prefix and prompt tuning) to 0.7 (LoRA, freezing), full
fine-tuning by 0.5."""
LABELS = {
    "loss": "loss per word piece on general texts",
    "drift": "drift of the representation of general texts",
}
_SENTENCES: dict[tuple[str, Light], str] = {
    ("loss", "green"): "It foretells general texts about as well as before",
    ("loss", "yellow"): "It has lost some of its general language",
    ("loss", "red"): "It has forgotten much of its general language; use it for this task only",
    ("drift", "green"): "It sees general texts about as it did before",
    ("drift", "yellow"): "It sees general texts differently than before, as is usual once labels are told apart",
    ("drift", "red"): "It sees general texts in another way than before; use it for this task only",
}


class GeneralTexts:
    """The texts as one kind of model reads them."""

    def __init__(self, base: Model, tokenizer: Tokenizer, task: Task, divisor: int = 1) -> None:
        self.measure: Any = "drift" if task == "classify" else "loss"
        # Virtual tokens need their room as well.
        most = min(MOST_TOKENS, (getattr(base.config, "max_position_embeddings", None) or 2 * MOST_TOKENS) // 2)
        texts = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]
        self._rows = [_encode(tokenizer, text, task, most) for text in texts]
        self._weights = np.array([1 if task == "classify" else row.num_labels for row in self._rows], dtype=np.float64)
        self._divisor = divisor
        self.tokens = sum(row.length for row in self._rows)
        self.few_tokens = sum(row.length for row in self._rows[A_FEW])

    def read(self, model: Model, which: slice = slice(None), heed: Heed = lambda: None) -> list[list[float]]:
        """Of each text its mean loss, or its direction: what of the base is kept to compare with."""
        rows = self._rows[which]
        if self.measure == "drift":
            return _directions(model, rows, self._divisor, heed)
        sums, counts = losses_of(model, rows, divisor=SMALLER_PIECES * self._divisor, heed=heed)
        return [[mean] for mean in (sums / counts).tolist()]

    def difference(self, before: list[list[float]], after: list[list[float]], which: slice = slice(None)) -> float:
        base, tuned = self._values(before, after)
        return float(weighted_mean(tuned - base, self._weights[None, which])[0])

    def compare(self, before: list[list[float]], after: list[list[float]]) -> Forgetting:
        base, tuned = self._values(before, after)

        def mean(values: Floats, drawn: Floats) -> Floats:
            return weighted_mean(values, drawn * self._weights)

        once = np.ones((1, len(base)))
        difference = float(mean(tuned - base, once)[0])
        low, high = interval(lambda drawn: mean(tuned - base, drawn), len(base))
        light = light_of(self.measure, difference)
        return Forgetting(
            measure=self.measure,
            label=LABELS[self.measure],
            base=float(mean(base, once)[0]),
            tuned=float(mean(tuned, once)[0]),
            difference=difference,
            low=low,
            high=high,
            light=light,
            num_texts=len(base),
            sentence=f"{_SENTENCES[self.measure, light]} ({LABELS[self.measure]} {difference:+.2f}, 95 % interval "
            f"{low:+.2f} to {high:+.2f}, on {len(base)} texts).",
        )

    def _values(self, before: list[list[float]], after: list[list[float]]) -> tuple[Floats, Floats]:
        """Of each text, by the measure: more is worse."""
        base, tuned = np.array(before), np.array(after)
        if self.measure == "loss":
            return base[:, 0], tuned[:, 0]
        return np.zeros(len(base)), drift(base, tuned)


def drift(base: Floats, tuned: Floats) -> Floats:
    """Cosine distance of each text's direction from what it was, in units of how far two texts lie apart in the base:
    models differ much in that (Ethayarajh 2019), and 1 means moved as far as to another text."""
    base, tuned = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (base, tuned))
    num_texts = len(base)
    apart = 1 - (base @ base.T).sum() / num_texts**2
    moved = np.maximum(0.0, 1 - (base * tuned).sum(axis=1))
    share: Floats = moved / max(apart * num_texts / (num_texts - 1), 1e-3)
    return share


def light_of(measure: str, difference: float) -> Light:
    green, yellow = LIMITS[measure]
    if difference <= green:
        return "green"
    return "yellow" if difference <= yellow else "red"


def _encode(tokenizer: Tokenizer, text: str, task: Task, most: int) -> Encoded:
    if task == "classify":
        return encode_text(tokenizer, text, -1, most)
    if task == "transform":
        middle = len(text) // 2
        return encode_pair(tokenizer, text[:middle], text[middle:], most)
    ids = tokenizer(text, truncation=True, max_length=most)["input_ids"]
    # Before the first token the base has nothing to foretell it from, virtual tokens or not.
    return Encoded(ids, [False] + [True] * (len(ids) - 1), ids)


@torch.no_grad()
def _directions(model: Model, rows: list[Encoded], divisor: int, heed: Heed) -> list[list[float]]:
    model.eval()
    found: dict[int, list[float]] = {}
    for piece in pieces(model, rows, divisor):
        heed()
        directions = text_directions(model, [rows[index] for index in piece])
        found.update(zip(piece, [[round(one, DIGITS) for one in row] for row in directions.tolist()], strict=True))
    return [found[index] for index in range(len(rows))]
