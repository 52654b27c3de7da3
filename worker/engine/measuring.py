"""Base and tuned model on the same held-out rows, as the job sees it: progress is told, a stop is heeded."""

import time
from collections.abc import Callable
from typing import Literal

from webapp.contract.events import Event, PhaseMoved
from worker.engine.encode import Tokenizer
from worker.engine.errors import Stop
from worker.engine.forward import Model
from worker.engine.measure import Measured, measure
from worker.engine.rows import JobRows
from worker.engine.stop import Asking
from worker.engine.training import Standing

SAVE_SECONDS = 3.0


class Measuring:
    """Measures either model on the job's test rows."""

    def __init__(
        self, rows: JobRows, tokenizer: Tokenizer, divisor: int, wanted: Asking, report: Callable[[Event], None]
    ) -> None:
        self._rows, self._tokenizer, self._divisor = rows, tokenizer, divisor
        self._wanted, self._report = wanted, report

    def standing_of(self, base: Model) -> Standing:
        """Where a job stands once its untouched base model is measured."""
        began = time.monotonic()
        measured = self.run(base, "base")
        return Standing.after_measuring(measured, time.monotonic() - began)

    def run(self, model: Model, which: Literal["base", "tuned"], *, step: int = 0) -> Measured:
        """`step`: the last one trained, for whoever asks to stop meanwhile. Raises Stop."""
        num_rows = len(self._rows.test)
        began = time.monotonic()

        def progress(done: int) -> None:
            heed(self._wanted, step)
            seconds_left = (time.monotonic() - began) / done * (num_rows - done) + SAVE_SECONDS if done else None
            self._report(
                PhaseMoved(
                    phase="measuring_base" if which == "base" else "measuring_tuned",
                    sentence=f"Measuring the {which} model on {num_rows} held-out rows.",
                    done=done,
                    total=num_rows,
                    unit="rows",
                    seconds_left=seconds_left if which == "tuned" else None,
                )
            )

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


def heed(wanted: Asking, step: int) -> None:
    """Outside of training. What was trained is in a checkpoint already; a wish to keep is fulfilled by going on."""
    if wanted() in ("stop", "cancel"):
        raise Stop(step)
