"""Whose turn it is: by priority, then fairness between people, then age. Pure, so that pages and workers agree."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from webapp.jobs.models import ACTIVE, Job


class Waiting(NamedTuple):
    """What the order depends on. `rank` orders an owner's own jobs among themselves."""

    id: UUID
    owner_id: int
    priority: int
    rank: int
    created_at: datetime


def queue_order(waiting: Collection[Waiting], num_running: Mapping[int, int]) -> list[Waiting]:
    """All waiting jobs, the next first. `num_running`: jobs in a worker's hands now, by owner.

    Within a priority the owner with the fewest jobs running or already placed is served, the one who waits longest
    where that is equal. Moving a job within one's own queue changes nobody else's place.
    """
    ordered: list[Waiting] = []
    served = defaultdict(int, num_running)
    for priority in sorted({job.priority for job in waiting}, reverse=True):
        own: dict[int, list[Waiting]] = defaultdict(list)
        for job in waiting:
            if job.priority == priority:
                own[job.owner_id].append(job)
        ages = {owner: sorted(job.created_at for job in jobs) for owner, jobs in own.items()}
        turns = {owner: sorted(jobs, key=lambda job: (job.rank, job.created_at, job.id)) for owner, jobs in own.items()}
        line = [(served[owner], ages[owner][0], owner, 0) for owner in own]
        heapq.heapify(line)
        while line:
            _served, _age, owner, place = heapq.heappop(line)
            ordered.append(turns[owner][place])
            served[owner] += 1
            if place + 1 < len(turns[owner]):
                heapq.heappush(line, (served[owner], ages[owner][place + 1], owner, place + 1))
    return ordered


def queue_now() -> list[Waiting]:
    """The queue as it stands. Two queries of small rows, however many jobs wait."""
    fields = ("id", "owner_id", "priority", "queue_rank", "created_at")
    waiting = [Waiting(*row) for row in Job.objects.waiting().values_list(*fields)]
    num_running: dict[int, int] = defaultdict(int)
    for owner_id in Job.objects.filter(state__in=ACTIVE).values_list("owner_id", flat=True):
        num_running[owner_id] += 1
    return queue_order(waiting, num_running)


def starts_in(
    durations: Sequence[float | None], free_in: Sequence[float | None], *, place: int, num_slots: int = 1
) -> float | None:
    """Seconds until the job at `place`, which takes `num_slots`, begins: `durations` of the waiting jobs in order,
    `free_in` of each slot.

    None as soon as something it depends on cannot be told.
    """
    if not free_in or any(seconds is None for seconds in free_in):
        return None
    slots = [seconds for seconds in free_in if seconds is not None]
    heapq.heapify(slots)
    for duration in durations[:place]:
        if duration is None:
            return None
        heapq.heappush(slots, heapq.heappop(slots) + duration)
    return heapq.nsmallest(num_slots, slots)[-1]
