"""What a job measures outside of training, as it is seen: base and tuned model on the same held-out rows, what was
forgotten, which rows look odd. Progress is told, a stop is heeded."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from webapp.contract.events import Event, PhaseMoved
from webapp.contract.verdict import Forgetting
from worker.engine.encode import Tokenizer
from worker.engine.errors import Stop
from worker.engine.forgetting import A_FEW, GeneralTexts
from worker.engine.forward import Model
from worker.engine.measure import Measured, measure
from worker.engine.rows import JobRows
from worker.engine.stop import Asking
from worker.engine.suspects import Suspects, find_suspects
from worker.engine.training import Standing
from worker.engine.untouched import Untouched

SAVE_SECONDS = 3.0
SHARE_OF_WATCHING = 0.05
"""Of the training's work, for reading general texts meanwhile."""
PASSES_A_STEP = 3
"""A step's backward pass costs about two forward passes."""

Which = Literal["base", "tuned"]


class After(NamedTuple):
    """All that is measured of the tuned model once training is over; the base's figures are in the standing."""

    tuned: Measured
    forgetting: Forgetting | None
    suspects: Suspects


class Measuring:
    """Measures either model on the job's rows and on general texts."""

    def __init__(
        self,
        rows: JobRows,
        tokenizer: Tokenizer,
        general: GeneralTexts,
        untouched: Untouched,
        divisor: int,
        wanted: Asking,
        report: Callable[[Event], None],
    ) -> None:
        self._rows, self._tokenizer, self._general, self._divisor = rows, tokenizer, general, divisor
        self._untouched, self._wanted, self._report = untouched, wanted, report

    def seconds_after(self, standing: Standing) -> float:
        """Expected for what follows training: each model reads the rows and writes their answers, and a token that
        is only read or written costs a part of one that is trained on."""
        a_token = standing.seconds / max(1, standing.tokens) / PASSES_A_STEP
        answers = 0 if self._rows.labels else len(self._rows.test) * self._rows.max_new_tokens
        one_model = a_token * (sum(self._rows.test.lengths) + self._general.tokens + answers)
        return one_model * (1 if standing.base_losses else 2) + SAVE_SECONDS

    def after(self, model: Model, standing: Standing) -> After:
        """Raises Stop."""
        self._measure_base(standing)
        tuned = self.held_out(model, "tuned", step=standing.step)
        return After(tuned, self._forgotten(model, standing), self._suspects(model, standing))

    def _measure_base(self, standing: Standing) -> None:
        """What an older version has measured before training is there already."""
        began = time.monotonic()
        with self._untouched.base() as base:
            if not standing.base_losses:
                standing.note_base(self.held_out(base, "base", step=standing.step))
            if not standing.base_general:
                standing.base_general = self._general.read(base, heed=lambda: heed(self._wanted, standing.step))
        standing.measuring_seconds = time.monotonic() - began

    def held_out(self, model: Model, which: Which, *, step: int = 0) -> Measured:
        """`step`: the last one trained, for whoever asks to stop meanwhile. Raises Stop."""
        num_rows = len(self._rows.test)
        began = time.monotonic()

        def progress(done: int) -> None:
            heed(self._wanted, step)
            rows_left = num_rows - done + (num_rows if which == "base" else 0)
            seconds_left = (time.monotonic() - began) / done * rows_left + SAVE_SECONDS if done else None
            sentence = f"Measuring the {which} model on {num_rows} held-out rows."
            self._tell(which, sentence, done, num_rows, "rows", seconds_left)

        progress(0)
        return measure(
            model,
            self._tokenizer,
            self._rows.test,
            labels=self._rows.labels,
            max_new_tokens=self._rows.max_new_tokens,
            divisor=self._divisor,
            heed=lambda: heed(self._wanted, step),
            progress=progress,
        )

    def forgetting_so_far(self, model: Model, standing: Standing) -> float | None:
        """While training, on a few of the texts; None where that would cost too much so early."""
        affordable = SHARE_OF_WATCHING * PASSES_A_STEP * standing.tokens
        if standing.general_tokens + self._general.few_tokens > affordable:
            return None
        standing.general_tokens += self._general.few_tokens
        if not standing.base_few:
            standing.base_few = standing.base_general[A_FEW] or self._few_of_base()
        return self._general.difference(standing.base_few, self._general.read(model, A_FEW), A_FEW)

    def _few_of_base(self) -> list[list[float]]:
        with self._untouched.base() as base:
            return self._general.read(base, A_FEW)

    def _forgotten(self, model: Model, standing: Standing) -> Forgetting | None:
        self._tell("tuned", "Reading general texts, to see what the model has forgotten.", 0, 0, "")
        general = self._general.read(model, heed=lambda: heed(self._wanted, standing.step))
        # A text that overflows, in a model that does fine on the rows, is no figure to compare with.
        is_figure = np.isfinite(general).all() and np.isfinite(standing.base_general).all()
        return self._general.compare(standing.base_general, general) if is_figure else None

    def _suspects(self, model: Model, standing: Standing) -> Suspects:
        return find_suspects(
            model,
            self._rows.train,
            self._rows.labels,
            train_seconds=standing.seconds,
            divisor=self._divisor,
            heed=lambda: heed(self._wanted, standing.step),
            progress=lambda done, total: self._tell("tuned", "Looking for odd training rows.", done, total, "rows"),
        )

    def _tell(
        self, which: Which, sentence: str, done: int, total: int, unit: str, seconds_left: float | None = None
    ) -> None:
        phase: Literal["measuring_base", "measuring_tuned"] = "measuring_base" if which == "base" else "measuring_tuned"
        self._report(
            PhaseMoved(phase=phase, sentence=sentence, done=done, total=total, unit=unit, seconds_left=seconds_left)
        )


def heed(wanted: Asking, step: int) -> None:
    """Outside of training. What was trained is in a checkpoint already; a wish to keep is fulfilled by going on."""
    if wanted() in ("stop", "cancel"):
        raise Stop(step)
