"""One attempt at one job: lay out, fetch, train, keep; and however it ends, the job is told."""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import Error, IntegrityError, connection

from webapp import storage
from webapp.adapters.services import adapter_store, finished_attempt
from webapp.contract.adapter_files import FilesDiffer
from webapp.contract.events import Event, Failed
from webapp.contract.failures import FailureCode
from webapp.contract.job_dir import LOG
from webapp.jobs.attempts import job_finalize, job_record
from webapp.jobs.endings import Ending, job_crashed, job_fail, job_hand_back, job_out_of_memory
from webapp.jobs.models import Asked, Job
from webapp.jobs.persist import DATABASE_AWAY
from worker.engine.child import FAILED
from worker.free_slots import Slot
from worker.job_dir import RowsDamaged, job_dir_lay_out
from worker.renewal import renewed
from worker.standby import Standby
from worker.supervisor import Leash, Order, Outcome, run_base_model_fetch, run_engine

log = logging.getLogger(__name__)

RECORD_SECONDS = 1.5
"""Between two writes to the database: often enough to see a cancel at once, seldom enough for SQLite."""
TELL_AGAIN_SECONDS = 2.0
FETCH_GRACE_SECONDS = 0.5
_NO_ROOM = "The disk is full. Free some space; the job goes on by itself once there is enough."

_ORDERS: dict[Asked, Order] = {
    Asked.NOTHING: "go_on",
    Asked.KEEP: "keep",
    Asked.PAUSE: "stop",
    Asked.MOVE: "stop",
    Asked.CANCEL: "cancel",
}


class Run:
    """`order` tells what the worker itself wants of its jobs, and why."""

    def __init__(
        self, job: Job, slot: Slot, order: Callable[[], tuple[Order, str]], standby: Standby | None = None
    ) -> None:
        self.job, self.slot, self.order, self.standby = job, slot, order, standby
        self.failure: Failed | None = None
        self.time_is_up = False
        self.is_mine = True
        self._began = time.monotonic()
        self._pending: list[Event] = []
        self._num_told = 0
        self._told_at = 0.0
        self._away_since: float | None = None

    def carry_out(self) -> None:
        """Never raises: whatever happens becomes the job's end or its way back to the queue."""
        log.info("job %s attempt %s", self.job.id, self.job.attempt)
        try:
            self._carry_out()
        except RowsDamaged as error:
            message = "The job's own rows are damaged on the disk, so nothing was trained. Start it from its dataset."
            self._tell(partial(job_fail, self.job, Ending("data", message, str(error))))
        except DATABASE_AWAY as error:
            log.warning("job %s is given back, the database is away: %s", self.job.id, error)
            connection.close()
            self._tell(partial(job_hand_back, self.job, reason="The database was away. Waiting for another try."))
        except OSError as error:
            self._tell(partial(self._end_of_storage, error))
        except Exception as error:
            log.exception("job %s attempt %s", self.job.id, self.job.attempt)
            message = "Graftwork itself failed; this is not your mistake."
            self._tell(partial(job_fail, self.job, Ending("our_bug", message, repr(error))))

    def _carry_out(self) -> None:
        if (finished := finished_attempt(self.job)) is not None:
            self._keep(finished)
            return
        job_dir = job_dir_lay_out(self.job, self._pending.append)
        leash = Leash(
            stop_grace=settings.TIMING.stop_grace,
            stall=settings.TIMING.stall,
            locks=(self.slot.lock, *self.slot.more_locks),
            more=self.slot.variables,
        )
        base_model = self.job.base_model
        outcome: Outcome | None = None
        if base_model.starter and not base_model.is_ready:
            # It has nothing to save: what is fetched so far stays, whenever it is ended.
            at_once = replace(leash, stop_grace=FETCH_GRACE_SECONDS)
            outcome = run_base_model_fetch(base_model.id, base_model.path, job_dir, self.tick, at_once)
        if outcome is None or outcome.exit_code == 0:
            waiting = self.standby.take(job_dir, leash) if self.standby else None
            outcome = run_engine(job_dir, self.tick, leash, module=settings.ENGINE_MODULE, waiting=waiting)
        if not (self.is_mine and self._tell(self._record_rest)):
            log.warning("job %s attempt %s was given to another worker", self.job.id, self.job.attempt)
        elif outcome.exit_code == 0:
            self._keep(job_dir)
        else:
            self._tell(lambda: self._close(outcome))

    def tick(self, events: list[Event]) -> Order:
        """Store what the child said; tell what shall happen to it. A database that is away stops nothing at first:
        the attempt's number protects the result, whoever else may have been given the job meanwhile."""
        self.failure = next((event for event in events if isinstance(event, Failed)), self.failure)
        self._pending += events
        now = time.monotonic()
        if now - self._told_at < RECORD_SECONDS and not self.failure:
            return "go_on"
        self._told_at = now
        try:
            asked = self._record()
        except Error as error:
            connection.close()
            return self._without_database(now, error)
        if not self.is_mine:
            return "kill"
        if self.job.time_limit_seconds and now - self._began > self.job.time_limit_seconds:
            self.time_is_up = True
            return "stop"
        return max(_ORDERS[asked], self.order()[0], key=("go_on", "keep", "stop", "cancel").index)

    def _record(self) -> Asked:
        """Hand what is pending to the job's history; learn whether it is still ours, and what is asked of it."""
        beat = job_record(self.job, self._pending, first=self._num_told)
        self._num_told += len(self._pending)
        self._pending, self._away_since = [], None
        self.is_mine = beat.is_mine
        return beat.asked

    def _record_rest(self) -> bool:
        """The child's last words, which the tick that brought them may have been too soon to write."""
        self._record()
        return self.is_mine

    def _without_database(self, now: float, error: Error) -> Order:
        if self._away_since is None:
            self._away_since = now
            log.warning("job %s goes on without the database: %s", self.job.id, error)
        is_too_long = now - self._away_since > settings.TIMING.orphan_grace
        return "stop" if is_too_long else self.order()[0]

    def _keep(self, made: Path) -> None:
        if not self._tell(lambda: job_finalize(self.job)):
            # Cancelled in the last moment, or no longer ours; the first is for us to say.
            self._tell(lambda: job_hand_back(self.job, reason="Waiting for another worker."))
            return
        try:
            with renewed(self.job):
                self._tell(lambda: adapter_store(self.job, made, tell=self._tell) is not None)
        except FilesDiffer as error:
            message = "Training ended well, but the adapter's files were damaged before they could be kept."
            self._tell(partial(job_crashed, self.job, Ending("crashed", message, str(error))))

    def _close(self, outcome: Outcome) -> bool:
        """End the attempt of a child that did not come to its end, and say why."""
        code = outcome.exit_code
        if outcome.why_killed == "stalled":
            minutes = settings.TIMING.stall / 60
            message = f"The training process showed no progress for {minutes:g} minutes and was ended."
            return job_crashed(self.job, Ending("stalled", message, self._last_log_line(), exit_code=code))
        # One that was to keep what it has is as good as any other: if it dies, that is a crash.
        if outcome.last_order in ("stop", "cancel") and self.failure is None:
            return self._close_stopped()
        if self.failure is not None:
            return self._close_failed(self.failure, code)
        if code == FAILED:
            # It gave up and said why, only its last words found no room.
            full = Failed(code="storage_full", message=_NO_ROOM, evidence=self._last_log_line())
            return self._close_failed(full, code)
        ending = Ending("crashed", _crash_sentence(code), self._last_log_line(), exit_code=code)
        if outcome.out_of_memory:
            message = "The memory ran out: the machine ended the training process."
            return job_out_of_memory(self.job, ending._replace(code="out_of_memory", message=message))
        return job_crashed(self.job, ending)

    def _close_stopped(self) -> bool:
        if self.time_is_up:
            hours = self.job.time_limit_seconds / 3600
            message = f"The job reached its time limit of {hours:g} hours. Its last checkpoint is kept."
            return job_fail(self.job, Ending("time_limit", message))
        return job_hand_back(self.job, reason=self.order()[1] or "Waiting for another worker.")

    def _close_failed(self, failure: Failed, exit_code: int) -> bool:
        ending = Ending(failure.code, failure.message, failure.evidence, exit_code=exit_code)
        if failure.code == "out_of_memory":
            return job_out_of_memory(self.job, ending)
        return job_crashed(self.job, ending) if failure.code == "storage_full" else job_fail(self.job, ending)

    def _end_of_storage(self, error: OSError) -> bool:
        code: FailureCode = "storage_full" if storage.is_full(error) else "crashed"
        message = f"The job's files could not be written or read: {error.strerror or error}."
        return job_crashed(self.job, Ending(code, message, str(error)))

    def _tell(self, change: Callable[[], bool]) -> bool:
        """Write the end of the attempt, however long the database stays away: what was trained is not thrown away
        for an outage. A lease that ran out meanwhile makes the change a no."""
        while True:
            try:
                return change()
            except IntegrityError:
                # Of two writers one has to give way; asking again would change nothing.
                raise
            except Error as error:
                log.warning("job %s waits for the database to tell its end: %s", self.job.id, error)
                connection.close()
                time.sleep(TELL_AGAIN_SECONDS)

    def _last_log_line(self) -> str:
        try:
            lines = (self.job.attempt_dir / LOG).read_text("utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return ""
        return next((line for line in reversed(lines) if line.strip()), "")[:500]


def _crash_sentence(exit_code: int) -> str:
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"The training process was ended from outside, by signal {-exit_code} ({name})."
    return f"The training process ended with code {exit_code} before it was done. Its log says more."
