"""One attempt at one errand: a child process that is told something in a folder of its own, and what came of it."""

import json
import logging
import signal
import time
from collections.abc import Callable

from django.db import Error, connection

from webapp import storage
from webapp.contract.errand_dir import ANSWER, REQUEST
from webapp.contract.events import Event, Failed, PhaseMoved
from webapp.errands.attempts import (
    errand_beat,
    errand_claim,
    errand_done,
    errand_failed,
    errand_hand_back,
    errand_stopped,
)
from webapp.errands.models import Errand, Kind
from webapp.workers.models import Worker
from worker.errand_kinds import WAYS
from worker.errand_way import CannotDo
from worker.supervisor import Leash, Order, Outcome, run_errand

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
STOP_GRACE_SECONDS = 0.5
"""A child has nothing to save: what it has brought so far lies where it goes on from."""


def errand_take(worker: Worker, kind: Kind, is_leaving: Callable[[], bool]) -> bool:
    """Do the next errand of this kind; False if there is none. Raises the database's errors."""
    errand = errand_claim(worker, [kind])
    if errand is None:
        return False
    ErrandRun(errand, is_leaving).carry_out()
    return True


class ErrandRun:
    """`is_leaving` tells whether the worker wants to end."""

    def __init__(self, errand: Errand, is_leaving: Callable[[], bool]) -> None:
        self.errand, self.is_leaving = errand, is_leaving
        self.way = WAYS[Kind(errand.kind)]
        self.folder = storage.errand_dir(errand.id, errand.attempt)
        self.failure: Failed | None = None
        self.progress: dict[str, object] | None = None
        self.wants_stop = False
        self._told_at = 0.0

    def carry_out(self) -> None:
        """Whatever happens becomes the errand's end or its way back. Raises the database's errors: then its lease
        brings it back."""
        log.info("errand %s attempt %s", self.errand, self.errand.attempt)
        try:
            self._carry_out()
        except CannotDo as error:
            errand_failed(self.errand, str(error))
        except Error:
            raise
        except Exception as error:
            log.exception("errand %s", self.errand)
            words = "The disk is full. Free some space, then try again." if storage.is_full(error) else ""
            errand_failed(self.errand, words or "Graftwork itself failed at this; the worker's log says more.")
        finally:
            storage.folder_delete(self.folder)

    def _carry_out(self) -> None:
        told = self.way.tell(self.errand)
        self.folder.mkdir(parents=True)
        (self.folder / REQUEST).write_text(told.request)
        outcome = run_errand(
            self.way.module,
            self.folder,
            self.tick,
            Leash(stop_grace=STOP_GRACE_SECONDS, stall=self.way.seconds),
            first_line=told.first_line,
            asks_hub=self.way.asks_hub,
        )
        self._close(outcome)

    def tick(self, events: list[Event]) -> Order:
        for event in events:
            if isinstance(event, Failed):
                self.failure = event
            elif isinstance(event, PhaseMoved):
                self.progress = event.model_dump(include={"sentence", "done", "total", "unit"})
        if self.is_leaving():
            return "stop"
        now = time.monotonic()
        if now - self._told_at < BEAT_SECONDS:
            return "go_on"
        self._told_at = now
        try:
            beat = errand_beat(self.errand, self.progress)
        except Error as error:
            # The attempt's number protects the answer, whoever else may have begun it meanwhile.
            log.warning("errand %s goes on without the database: %s", self.errand, error)
            connection.close()
            return "go_on"
        self.wants_stop = beat.wants_stop
        if not beat.is_mine:
            return "kill"
        return "stop" if beat.wants_stop else "go_on"

    def _close(self, outcome: Outcome) -> None:
        if outcome.exit_code == 0:
            answer = json.loads((self.folder / ANSWER).read_text())
            errand_done(self.errand, self.way.keep(self.errand, answer))
        elif self.wants_stop:
            errand_stopped(self.errand)
        elif outcome.last_order == "stop":
            errand_hand_back(self.errand)
        else:
            failure = self.failure
            errand_failed(
                self.errand, failure.message if failure else self._why(outcome), code=failure.code if failure else ""
            )

    def _why(self, outcome: Outcome) -> str:
        if outcome.why_killed == "stalled" or outcome.exit_code == -signal.SIGXCPU:
            return f"It took longer than it may and was ended. {self.way.blame}".strip()
        if outcome.out_of_memory:
            return f"The machine's memory ran out, and it was ended. {self.way.blame}".strip()
        return f"It ended before it was done (code {outcome.exit_code}). {self.way.blame}".strip()
