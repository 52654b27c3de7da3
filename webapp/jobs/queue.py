"""Whose turn it is: by priority, then fairness between people, then age. Pure, so that pages and workers agree."""

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from webapp.jobs.models import ACTIVE, Job
from webapp.limits.limits import limits_of_many


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


class Queue(NamedTuple):
    """Waiting jobs in order. `held` are those beyond what their owner may run at once: they start when one of the
    owner's own has ended, so they stand behind all others, and nobody waits for them."""

    ready: list[Waiting]
    held: list[Waiting]


def queue_with_limits(waiting: Collection[Waiting], num_running: Mapping[int, int], most: Mapping[int, int]) -> Queue:
    """`most`: jobs at once by owner; 0 and none are no limit."""
    held: set[UUID] = set()
    for owner, num in most.items():
        if num:
            own = [job for job in waiting if job.owner_id == owner]
            held |= {job.id for job in queue_order(own, {})[max(0, num - num_running.get(owner, 0)) :]}
    ready = queue_order([job for job in waiting if job.id not in held], num_running)
    return Queue(ready, queue_order([job for job in waiting if job.id in held], num_running))


def queue_now() -> list[Waiting]:
    """All waiting jobs, the next first."""
    queue = queue_parts_now()
    return queue.ready + queue.held


def queue_parts_now() -> Queue:
    """The queue as it stands. A few queries of small rows, however many jobs wait."""
    fields = ("id", "owner_id", "priority", "queue_rank", "created_at")
    waiting = [Waiting(*row) for row in Job.objects.waiting().values_list(*fields)]
    if not waiting:
        return Queue([], [])
    limits = limits_of_many({job.owner_id for job in waiting})
    most = {owner: own.running_jobs for owner, own in limits.items()}
    return queue_with_limits(waiting, num_running_now(), most)


def num_running_now() -> dict[int, int]:
    """Jobs in a worker's hands now, by owner."""
    num_running: dict[int, int] = defaultdict(int)
    for owner_id in Job.objects.filter(state__in=ACTIVE).values_list("owner_id", flat=True):
        num_running[owner_id] += 1
    return num_running


class Upcoming(NamedTuple):
    """A waiting job as the estimate of a start sees it.

    `seconds` is how long it will run, None if that is unknown. `num_slots` says how many slots it takes on each worker
    that may run it, by the worker's id.
    """

    seconds: float | None
    num_slots: Mapping[UUID, int]


def starts_in(
    ahead: Sequence[Upcoming], num_slots: Mapping[UUID, int], free_in: Mapping[UUID, Sequence[float | None]]
) -> float | None:
    """Seconds until a job begins that takes `num_slots` on each worker that may run it, after those `ahead` of it.

    `free_in` holds the seconds until each slot of each worker is free, None where that is unknown. Each job begins on
    the worker that first has enough free slots; one that no worker may run holds nobody up. Returns None if the job
    itself has no such worker, or if anything unknown may decide when it begins.
    """
    slots = {worker: sorted(math.inf if left is None else left for left in lefts) for worker, lefts in free_in.items()}
    for upcoming in ahead:
        start, worker = _first_start(slots, upcoming.num_slots)
        if worker is not None:
            ends = start + (math.inf if upcoming.seconds is None else upcoming.seconds)
            needed = upcoming.num_slots[worker]
            slots[worker] = sorted([*slots[worker][needed:], *([ends] * needed)])
    start, worker = _first_start(slots, num_slots)
    is_unknown = any(math.inf in slots[worker] for worker in num_slots if worker in slots)
    return None if worker is None or (start > 0 and is_unknown) else start


def _first_start(slots: Mapping[UUID, Sequence[float]], num_slots: Mapping[UUID, int]) -> tuple[float, UUID | None]:
    """When and where enough slots of one worker are free; no worker where none has so many."""
    starts = [
        (slots[worker][needed - 1], worker)
        for worker, needed in num_slots.items()
        if worker in slots and needed <= len(slots[worker])
    ]
    return min(starts, key=lambda one: one[0], default=(math.inf, None))
