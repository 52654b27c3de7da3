"""What happened to a job, in order: moves from state to state, and what the engine said."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Max

from webapp.contract.events import Event, PhaseMoved, Stepped
from webapp.jobs.models import JobEvent


class NewEvent(NamedTuple):
    at: datetime
    kind: str
    data: dict[str, Any]


def engine_event(event: Event) -> NewEvent:
    data = event.model_dump(exclude={"at", "kind"})
    return NewEvent(datetime.fromtimestamp(event.at, UTC), event.kind, data)


def worth_keeping(events: list[Event], phase: str) -> list[Event]:
    """Events for the history: of many steps between two writes the last, of a phase's progress only its beginning."""
    kept: list[Event] = []
    last_step = max((index for index, event in enumerate(events) if isinstance(event, Stepped)), default=-1)
    for index, event in enumerate(events):
        if isinstance(event, PhaseMoved):
            if event.phase != phase:
                kept.append(event)
            phase = event.phase
        elif index == last_step or not isinstance(event, Stepped):
            kept.append(event)
    return kept


def events_add(job_id: UUID, attempt: int, events: Iterable[NewEvent]) -> None:
    """Append to the job's history. The caller has just updated the job's row, which keeps other writers out."""
    last = JobEvent.objects.filter(job_id=job_id).aggregate(last=Max("seq"))["last"] or 0
    JobEvent.objects.bulk_create(
        JobEvent(job_id=job_id, seq=seq, attempt=attempt, at=event.at, kind=event.kind, data=event.data)
        for seq, event in enumerate(events, start=last + 1)
    )
