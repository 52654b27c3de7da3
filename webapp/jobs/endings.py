"""How an attempt ends, well or badly, and where the job goes from there: over, back to the queue, or to a pause."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Q

from webapp.clock import database_now
from webapp.contract.failures import FAILURES, MOST_CRASHES, FailureCode
from webapp.contract.verdict import Verdict
from webapp.jobs.checkpoints import newest_step
from webapp.jobs.models import Asked, Job, Outcome, State
from webapp.jobs.transition import transition
from webapp.workers.models import Worker


class Ending(NamedTuple):
    """How an attempt went wrong. `outcome` LOST where nobody saw it end."""

    code: FailureCode
    message: str
    evidence: str = ""
    outcome: Outcome = Outcome.CRASHED
    exit_code: int | None = None


def job_fail(job: Job, ending: Ending, *, actor: str = "worker", guard: Q | None = None) -> bool:
    """The job ended badly for good; the message says what happened and what to do."""
    error = {"code": ending.code, "message": ending.message, "evidence": ending.evidence}
    return transition(
        job,
        State.FAILED,
        actor=actor,
        reason=ending.message,
        guard=guard,
        outcome=ending.outcome if ending.outcome == Outcome.LOST else Outcome.FAILED,
        exit_code=ending.exit_code,
        error=error,
        finished_at=database_now(),
    )


def job_hand_back(job: Job, *, reason: str, actor: str = "worker", guard: Q | None = None) -> bool:
    """The attempt ended between two steps because somebody wanted it to: cancelled or paused if a person said so,
    else back in the queue, without a mark against it."""
    return _give_back(
        job,
        reason,
        paused_reason="Paused, as asked.",
        actor=actor,
        guard=guard,
        not_before=None,
        progress_step=newest_step(job),
    )


def job_cancelled(job: Job, *, actor: str, guard: Q | None = None) -> bool:
    return transition(job, State.CANCELLED, actor=actor, reason="Cancelled.", guard=guard, finished_at=database_now())


def job_crashed(job: Job, ending: Ending, *, actor: str = "worker", guard: Q | None = None) -> bool:
    """The attempt ended badly in a way that another attempt may not. Back to the queue after a while; after
    `MOST_CRASHES` of them without a new checkpoint in between the job stops with the reason."""
    step = newest_step(job)
    crash_count = 1 if step > job.progress_step else job.crash_count + 1
    if crash_count >= MOST_CRASHES and _asked_now(job) != Asked.CANCEL:
        message = f"{ending.message} That was the {_ordinal(crash_count)} time without progress in between."
        return job_fail(job, ending._replace(message=message), actor=actor, guard=guard)
    goes_on = f"Goes on from step {step}." if step else "Starts again."
    return _give_back(
        job,
        f"{FAILURES[ending.code].title}. {goes_on}",
        actor=actor,
        guard=guard,
        outcome=ending.outcome,
        exit_code=ending.exit_code,
        crash_count=crash_count,
        progress_step=step,
        not_before=_not_before(ending, crash_count),
    )


def job_out_of_memory(job: Job, ending: Ending) -> bool:
    """Once by itself with half the micro-batch, the same effective batch; the second time the job fails."""
    if job.micro_batch_divisor > 1 and _asked_now(job) != Asked.CANCEL:
        return job_fail(job, ending)
    return _give_back(
        job,
        "The memory ran out. It goes on with half the micro-batch; the effective batch stays.",
        outcome=Outcome.CRASHED,
        exit_code=ending.exit_code,
        micro_batch_divisor=2,
        progress_step=newest_step(job),
    )


def _give_back(
    job: Job, reason: str, *, paused_reason: str = "", actor: str = "worker", guard: Q | None = None, **fields: Any
) -> bool:
    """Out of the worker's hands, to where somebody wants the job: cancelled, paused, or in the queue.

    What is asked is part of the guard: a wish that arrives in this very moment is heeded, not wiped out.
    """
    while True:
        asked = _asked_now(job)
        heeded = Q(guard or Q(), asked=asked)
        is_stoppable = job.state != State.FINALIZING
        if asked == Asked.CANCEL and is_stoppable:
            moved = job_cancelled(job, actor=actor, guard=heeded)
        else:
            to = State.PAUSED if asked == Asked.PAUSE and is_stoppable else State.QUEUED
            moved = transition(
                job,
                to,
                actor=actor,
                reason=(to == State.PAUSED and paused_reason) or reason,
                guard=heeded,
                # Who looks at a paused job wants to see how far it came; the next attempt begins anew either way.
                live=job.live if to == State.PAUSED else {},
                asked=_still_asked(asked, to),
                avoid_worker=job.worker if asked == Asked.MOVE else None,
                **fields,
            )
        if moved or _asked_now(job) == asked:
            return moved


def job_succeed(job: Job, verdict: Verdict, *, also: Callable[[], None]) -> bool:
    """The job is done. `also` records its adapter in the same transaction, so that both are seen or neither."""
    return transition(
        job,
        State.SUCCEEDED,
        actor="worker",
        reason=verdict.sentence,
        also=also,
        verdict_json=verdict.model_dump(),
        finished_at=database_now(),
    )


def worker_jobs_release(worker: Worker, *, memory_ran_out: bool = False) -> int:
    """At a worker's start: what its previous process still held goes back to the queue at once."""
    ending = Ending("worker_lost", "The worker was restarted while it ran this job.", outcome=Outcome.LOST)
    if memory_ran_out:
        message = "The memory ran out: the machine ended the worker while it ran this job."
        ending = Ending("out_of_memory", message, outcome=Outcome.LOST)
    held = Job.objects.active().filter(worker=worker)
    return sum(job_crashed(job, ending, actor=f"worker {worker.name}") for job in held)


def _asked_now(job: Job) -> Asked:
    """Nothing, where the job is gone."""
    return Asked(Job.objects.filter(id=job.id).values_list("asked", flat=True).first() or Asked.NOTHING)


def _still_asked(asked: Asked, to: State) -> Asked:
    """To end early and keep is a wish about the training: the next worker heeds it. The others are fulfilled."""
    return Asked.KEEP if asked == Asked.KEEP and to == State.QUEUED else Asked.NOTHING


def _not_before(ending: Ending, crash_count: int) -> datetime | None:
    """Nothing is known against a job whose worker vanished once: the next may have it at once."""
    if ending.outcome == Outcome.LOST and crash_count == 1:
        return None
    return database_now() + timedelta(seconds=_backoff(crash_count))


def _backoff(crash_count: int) -> float:
    return float(settings.TIMING.backoff) * 2.0 ** (crash_count - 1) * random.uniform(0.8, 1.2)


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
