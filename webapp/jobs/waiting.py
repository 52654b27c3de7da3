"""Why a job waits, how many are before it, and when it may begin, as far as that can be told."""

import statistics
from collections import defaultdict
from typing import NamedTuple
from uuid import UUID

from django.db.models import F

from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.jobs.calibration import foretold_of
from webapp.jobs.limits import num_running_of
from webapp.jobs.models import Job, State
from webapp.jobs.placing import misfit, slots_for, why_no_worker
from webapp.jobs.queue import Upcoming, Waiting, queue_now, queue_parts_now, starts_in
from webapp.limits.limits import limits_of
from webapp.shown import duration
from webapp.workers.models import Intent, Worker

NUM_EARLIER = 20
"""Finished jobs of the same kind that an estimate is made from."""


class InQueue(NamedTuple):
    """`num_ahead` jobs go first; `starts_in_seconds` is None where it cannot be told."""

    num_ahead: int
    starts_in_seconds: float | None
    sentence: str


def waiting_now(job: Job) -> InQueue:
    """Of a job in the queue."""
    if not job.owner.is_active:
        return InQueue(0, None, f"Not started: the account of {job.owner} is disabled. An admin can enable it again.")
    order = queue_now()
    place = next((number for number, waiting in enumerate(order) if waiting.id == job.id), len(order))
    now = database_now()
    workers = list(Worker.objects.online(now))
    blocked = why_no_worker(job, workers)
    if blocked:
        return InQueue(place, None, blocked)
    if job.not_before is not None and job.not_before > now:
        seconds = (job.not_before - now).total_seconds()
        return InQueue(place, seconds, f"Waiting {duration(seconds)} before it is tried again. It starts by itself.")
    if (held := _held_sentence(job, order[:place])) is not None:
        return InQueue(place, None, held)
    seconds_left = _starts_in(job, order[:place], workers)
    num_slots = min(_slots_needed(job, workers).values(), default=1)
    return InQueue(place, seconds_left, _sentence(job, place, seconds_left, num_slots))


def new_job_starts_in(owner: User, workers: list[Worker], num_processes: int) -> float | None:
    """Returns the seconds until a job begins that is put at the end of the queue now; any of `workers` may run it."""
    job, queue = Job(owner=owner, num_processes=num_processes), queue_parts_now()
    if _held_sentence(job, queue.ready + queue.held) is not None:
        return None
    return _starts_in(job, queue.ready, workers)


def _held_sentence(job: Job, ahead: list[Waiting]) -> str | None:
    """Of a job that waits for others of its owner's own, since no more of them may run at once. Else None."""
    most = limits_of(job.owner_id).running_jobs
    running, before = num_running_of(job.owner_id), sum(waiting.owner_id == job.owner_id for waiting in ahead)
    if not most or running + before < most:
        return None
    queued = f" {before} more {'goes' if before == 1 else 'go'} before this one." if before else ""
    return (
        f"Waiting: {job.owner} has {running} of {most} job{'' if most == 1 else 's'} running, the limit of one person."
        f"{queued} It starts by itself when its turn comes."
    )


def _sentence(job: Job, num_ahead: int, seconds: float | None, num_slots: int) -> str:
    again = "A worker gave it back. " if job.attempt else ""
    when = "" if not seconds else f" Expected to start in about {duration(seconds)}."
    if num_ahead:
        jobs = "1 job goes" if num_ahead == 1 else f"{num_ahead} jobs go"
        return f"{again}Waiting: {jobs} before this one.{when} It starts by itself."
    num_running = Job.objects.active().count()
    if num_running and seconds != 0:
        jobs = "1 job is" if num_running == 1 else f"{num_running} jobs are"
        free = "a worker is free" if num_slots == 1 else f"{num_slots} GPUs of one worker are free"
        return f"{again}Waiting: {jobs} running and this one is next.{when} It starts by itself when {free}."
    return f"{again}This one is next: a worker takes it within seconds."


def _slots_needed(job: Job, workers: list[Worker]) -> dict[UUID, int]:
    """Returns how many slots the job takes on each of these workers that takes jobs and could do this one."""
    able = [worker for worker in workers if worker.intent == Intent.ACTIVE and misfit(job, worker) is None]
    return {worker.id: slots_for(job, worker) for worker in able}


def _starts_in(job: Job, ahead: list[Waiting], workers: list[Worker]) -> float | None:
    """From what the running jobs say they need yet, and how long jobs like the waiting ones took before."""
    jobs = Job.objects.in_bulk([waiting.id for waiting in ahead])
    known = [jobs[waiting.id] for waiting in ahead if waiting.id in jobs]
    upcoming = [
        Upcoming(seconds, _slots_needed(earlier, workers))
        for earlier, seconds in zip(known, _durations(known), strict=True)
    ]
    return starts_in(upcoming, _slots_needed(job, workers), _slots_free_in(workers))


def _slots_free_in(workers: list[Worker]) -> dict[UUID, list[float | None]]:
    """Returns for each worker when each of its slots is free: a job on several GPUs holds as many of them."""
    taken: dict[UUID, list[float | None]] = defaultdict(list)
    by_id = {worker.id: worker for worker in workers}
    for job in Job.objects.active().filter(worker_id__in=by_id).only("worker_id", "num_processes", "live"):
        assert job.worker_id is not None
        taken[job.worker_id] += [job.live.get("seconds_left")] * slots_for(job, by_id[job.worker_id])
    return {
        worker.id: [*taken[worker.id], *([0.0] * (worker.slots - len(taken[worker.id])))]
        for worker in workers
        if worker.intent == Intent.ACTIVE
    }


def _durations(jobs: list[Job]) -> list[float | None]:
    """What each job is expected to take: the median of finished ones with the same base model and method, by rows
    and epochs; where there was none yet what was foretold of it, None where that was a mere guess."""
    known: dict[tuple[str, str], float | None] = {}
    found: list[float | None] = []
    for job in jobs:
        kind = (job.base_model_id, job.recipe_json["method"])
        if kind not in known:
            known[kind] = _seconds_a_row(*kind)
        rate = known[kind]
        found.append(_foretold_seconds(job) if rate is None else rate * _row_passes(job))
    return found


def _foretold_seconds(job: Job) -> float | None:
    """Only what finished jobs have corrected: a rough guess is no ground for a promise to those behind."""
    told = foretold_of(job)
    return told.seconds if told and told.num_jobs else None


def _seconds_a_row(base_model_id: str, method: str) -> float | None:
    finished = Job.objects.filter(
        state=State.SUCCEEDED, base_model_id=base_model_id, recipe_json__method=method, verdict_json__isnull=False
    ).order_by(F("finished_at").desc())[:NUM_EARLIER]
    rates = [job.verdict.cost.total_seconds / _row_passes(job) for job in finished if job.verdict]
    return statistics.median(rates) if rates else None


def _row_passes(job: Job) -> float:
    epochs = job.recipe_json["knobs"].get("epochs", 1)
    return max(1.0, float(job.split["train"]) * float(epochs))
