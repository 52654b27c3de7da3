"""What a watcher of a job is told: how it stands, and what happened after the last event it knows of."""

from typing import Any, NamedTuple

from webapp.jobs.figures import LiveFigures
from webapp.jobs.models import Asked, Job, JobEvent, State
from webapp.jobs.timeline import actor_of, sentence_of, state_of
from webapp.jobs.waiting import InQueue, waiting_now

MOST_EVENTS = 1000
"""In one answer; `has_more` then says to ask again."""

ASKED_SENTENCES = {
    Asked.CANCEL: "Stopping, as you asked. The worker ends it within seconds.",
    Asked.PAUSE: "Pausing, as you asked: it saves a checkpoint first.",
    Asked.KEEP: "Ending training early, as you asked; what it has learnt is measured and kept.",
    Asked.MOVE: "Moving to another worker: it saves a checkpoint first.",
}


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
    in_queue = in_queue_now(job)
    data = {
        "id": str(job.id),
        "state": job.state,
        "state_label": job.get_state_display(),
        "is_over": job.is_over,
        "attempt": job.attempt,
        "asked": job.asked,
        "sentence": sentence_now(job, live, in_queue),
        "queue": _place(in_queue),
        "percent": live.percent,
        "live": live.model_dump(),
        "events": [_told(event) for event in events],
        "seq": seq,
        "has_more": has_more,
    }
    return Snapshot(data, seq, is_over=job.is_over and not has_more)


def in_queue_now(job: Job) -> InQueue | None:
    """None for a job that is not in the queue."""
    return waiting_now(job) if job.state == State.QUEUED else None


def sentence_now(job: Job, live: LiveFigures, in_queue: InQueue | None) -> str:
    """One sentence of what the job does right now."""
    if in_queue is not None:
        return in_queue.sentence
    match job.state:
        case State.PAUSED:
            return "Paused. It keeps its place and its checkpoints, and goes on when you resume it."
        case State.FINALIZING:
            return "Keeping the adapter: its files are checked, copied and packed."
        case State.STARTING | State.RUNNING if job.asked in ASKED_SENTENCES:
            return ASKED_SENTENCES[Asked(job.asked)]
        case State.STARTING | State.RUNNING:
            return live.sentence or "A worker has taken the job and gets ready."
        case State.CANCELLED:
            return "Stopped before it was done. No adapter was kept."
    return ""


def _place(in_queue: InQueue | None) -> dict[str, Any] | None:
    if in_queue is None:
        return None
    # To ten seconds: a stream shall not speak at every tick of an estimate.
    seconds = in_queue.starts_in_seconds
    return {
        "num_ahead": in_queue.num_ahead,
        "starts_in_seconds": None if seconds is None else round(seconds, -1),
    }


def _told(event: JobEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "attempt": event.attempt,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "data": event.data,
        "text": sentence_of(event),
        "state": state_of(event),
        "actor": actor_of(event),
    }
