"""What the owner of a waiting job can change about its place, and where the jobs of a list stand in the queue."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from webapp.jobs.models import Job, Priority, State
from webapp.jobs.queue import queue_now


class PriorityChoice(NamedTuple):
    value: str
    label: str
    is_chosen: bool


class QueuePanel(NamedTuple):
    """`place` and `num_own` among the owner's own waiting jobs of the same priority, from 0."""

    place: int
    num_own: int
    priorities: list[PriorityChoice]

    @property
    def is_first(self) -> bool:
        return self.place == 0

    @property
    def is_last(self) -> bool:
        return self.place + 1 >= self.num_own


class Place(NamedTuple):
    """Of a waiting job in a list. `own` is None where the reader cannot move it or there is nothing to pass."""

    num_ahead: int
    own: QueuePanel | None


def queue_panel(job: Job, *, is_staff: bool) -> QueuePanel | None:
    """None for a job that does not wait."""
    if job.state not in (State.QUEUED, State.PAUSED):
        return None
    own = [waiting.id for waiting in queue_now() if (waiting.owner_id, waiting.priority) == _kind(job)]
    place = own.index(job.id) if job.id in own else 0
    return QueuePanel(place, len(own) if job.id in own else 0, priority_choices(Priority(job.priority), is_staff))


def places_of(jobs: Collection[Job], reader_id: int) -> dict[UUID, Place]:
    """Of those that are in the queue."""
    if not any(job.state == State.QUEUED for job in jobs):
        return {}
    order = queue_now()
    ahead = {waiting.id: number for number, waiting in enumerate(order)}
    own = {kind: [one.id for one in order if (one.owner_id, one.priority) == kind] for kind in set(map(_kind, jobs))}
    return {
        job.id: Place(ahead[job.id], _own_place(job, own[_kind(job)]) if job.owner_id == reader_id else None)
        for job in jobs
        if job.id in ahead
    }


def priority_choices(chosen: Priority, is_staff: bool) -> list[PriorityChoice]:
    """High is the admins' to give; a job that has it already keeps the word."""
    return [
        PriorityChoice(priority.name.lower(), str(priority.label), priority == chosen)
        for priority in Priority
        if priority != Priority.HIGH or is_staff or chosen == Priority.HIGH
    ]


def _own_place(job: Job, own: list[UUID]) -> QueuePanel | None:
    return QueuePanel(own.index(job.id), len(own), []) if len(own) > 1 else None


def _kind(job: Job) -> tuple[int, int]:
    return job.owner_id, job.priority
