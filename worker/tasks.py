"""What a worker does when woken: take the oldest waiting job, train it, close it; until nothing waits."""

import logging
import signal
import threading

from django.db import close_old_connections
from django.utils import timezone

from webapp.adapters.services import FilesDiffer, NoLongerMine, adapter_store
from webapp.celery import app
from webapp.contract.events import Event, Failed
from webapp.contract.job_dir import LOG
from webapp.jobs.models import Job
from webapp.jobs.services import job_claim, job_fail, job_finalize, job_record, job_stopped, jobs_rescue_lost
from worker.job_dir import job_dir_lay_out
from worker.supervisor import Order, Outcome, run_base_model_fetch, run_engine

log = logging.getLogger(__name__)

SHUTTING_DOWN = threading.Event()
"""Set when this worker was told to go; jobs then return to the queue."""


@app.task(name="wake")
def wake() -> None:
    """There may be work. Which job it is, the database says."""
    close_old_connections()
    jobs_rescue_lost(timezone.now())
    while not SHUTTING_DOWN.is_set() and (job := job_claim()):
        log.info("job %s attempt %s", job.id, job.attempt)
        try:
            Run(job).carry_out()
        except NoLongerMine:
            log.warning("job %s attempt %s was given to another worker", job.id, job.attempt)
        except Exception as error:
            log.exception("job %s attempt %s", job.id, job.attempt)
            job_fail(
                job, code="our_bug", message="Graftwork itself failed; this is not your mistake.", evidence=repr(error)
            )


class Run:
    """One attempt at one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.failure: Failed | None = None

    def carry_out(self) -> None:
        job_dir = job_dir_lay_out(self.job)
        base_model = self.job.base_model
        if base_model.starter and not base_model.is_ready:
            outcome = run_base_model_fetch(base_model.id, base_model.path, job_dir, self.tick)
            if outcome.exit_code != 0:
                self.close_unfinished(outcome)
                return
        outcome = run_engine(job_dir, self.tick)
        if outcome.exit_code != 0:
            self.close_unfinished(outcome)
        elif job_finalize(self.job):
            self.keep_adapter()

    def tick(self, events: list[Event]) -> Order:
        """Store what the child said; tell what shall happen to it."""
        self.failure = next((event for event in events if isinstance(event, Failed)), self.failure)
        beat = job_record(self.job, events)
        if not beat.is_mine:
            return "kill"
        return "stop" if beat.cancel_requested or SHUTTING_DOWN.is_set() else "go_on"

    def keep_adapter(self) -> None:
        try:
            adapter_store(self.job)
        except (FilesDiffer, OSError) as error:
            job_fail(
                self.job,
                code="storage",
                message="Training ended well, but its files could not be kept. Check the disk, then start again.",
                evidence=str(error),
            )

    def close_unfinished(self, outcome: Outcome) -> None:
        """End the job of a child that did not come to its end, and say why."""
        if outcome.last_order != "go_on":
            job_stopped(self.job, reason="The worker was shut down. Waiting for another one.")
        elif self.failure is not None:
            job_fail(self.job, code=self.failure.code, message=self.failure.message, evidence=self.failure.evidence)
        else:
            job_fail(
                self.job, code="crashed", message=_crash_sentence(outcome.exit_code), evidence=self.last_log_line()
            )

    def last_log_line(self) -> str:
        lines = (self.job.attempt_dir / LOG).read_text("utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")[:500]


def _crash_sentence(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return (
            "The training process was killed from outside; most often the machine ran out of memory. "
            "Lower the batch size or the longest row, then start again."
        )
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"The training process was ended by signal {-exit_code} ({name}). Start it again."
    return f"The training process ended with code {exit_code} before it was done. Its log below says more."
