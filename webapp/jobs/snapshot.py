"""What a watcher of a job is told: how it stands, and what happened after the last event it knows of."""

from typing import Any, NamedTuple

from django.db.models import Q

from webapp.jobs.figures import LiveFigures
from webapp.jobs.models import ACTIVE, Job, JobEvent, State
from webapp.jobs.timeline import sentence_of, state_of

MOST_EVENTS = 1000
"""In one answer; `has_more` then says to ask again."""


class Snapshot(NamedTuple):
    """`seq` is the last event told; ask for what comes after it."""

    data: dict[str, Any]
    seq: int
    is_over: bool


def snapshot(job: Job, after: int) -> Snapshot:
    events = list(job.events.after(after)[: MOST_EVENTS + 1])
    has_more = len(events) > MOST_EVENTS
    events = events[:MOST_EVENTS]
    seq = events[-1].seq if events else after
    live = LiveFigures.model_validate(job.live)
    data = {
        "id": str(job.id),
        "state": job.state,
        "state_label": job.get_state_display(),
        "is_over": job.is_over,
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested_at is not None,
        "sentence": sentence_now(job, live),
        "percent": live.percent,
        "live": live.model_dump(),
        "events": [_told(event) for event in events],
        "seq": seq,
        "has_more": has_more,
    }
    return Snapshot(data, seq, is_over=job.is_over and not has_more)


def sentence_now(job: Job, live: LiveFigures) -> str:
    """One sentence of what the job does right now."""
    match job.state:
        case State.QUEUED:
            return why_it_waits(job)
        case State.FINALIZING:
            return "Keeping the adapter: its files are checked, copied and packed."
        case State.STARTING | State.RUNNING if job.cancel_requested_at is not None:
            return "Stopping, as you asked. The worker ends it within seconds."
        case State.STARTING | State.RUNNING:
            return live.sentence or "A worker has taken the job and gets ready."
        case State.CANCELLED:
            return "Stopped before it was done. Nothing of it was kept."
    return ""


def why_it_waits(job: Job) -> str:
    """The queue is one for all people: the oldest job goes first."""
    oldest_first = Q(created_at__lt=job.created_at)
    num_before = Job.objects.waiting().filter(oldest_first).count()
    num_running = Job.objects.filter(state__in=ACTIVE).count()
    again = "A worker gave it back. " if job.attempt else ""
    if num_before:
        jobs = "1 older job goes" if num_before == 1 else f"{num_before} older jobs go"
        return f"{again}Waiting: {jobs} before this one. It starts by itself."
    if num_running:
        jobs = "1 job is" if num_running == 1 else f"{num_running} jobs are"
        return f"{again}Waiting: {jobs} running. This one is next and starts by itself when a worker is free."
    return (
        f"{again}Waiting for a worker to take it; this one is next. "
        "If nothing happens within a minute, no worker is running: ask whoever runs this app to start one."
    )


def _told(event: JobEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "attempt": event.attempt,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "data": event.data,
        "text": sentence_of(event),
        "state": state_of(event),
    }
