"""Which of a worker's slots run nothing now: a job on several GPUs takes as many of them at once, or none yet.

No slot is held while others are awaited, so jobs cannot lock each other out; what begins meanwhile, `job_claim` says.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from webapp.jobs.models import Job


class Slot(NamedTuple):
    """Where a job runs: `lock` is the slot's open lock, `variables` what its child sees of the machine. `more_locks`
    are those of other slots that it has taken as well."""

    number: int
    lock: int
    variables: dict[str, str]
    more_locks: tuple[int, ...] = ()


class FreeSlots:
    """Slots whose threads serve, and those of them that are taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._serving: dict[int, Slot] = {}
        self._taken: dict[int, list[int]] = {}

    def open(self, slot: Slot) -> None:
        with self._lock:
            self._serving[slot.number] = slot

    def close(self, number: int) -> None:
        """Its thread leaves. Where another's job uses it, that job has a lock of its own on it."""
        with self._lock:
            self._serving.pop(number, None)

    def take(
        self, number: int, claim: Callable[[int], Job | None], num_for: Callable[[Job], int]
    ) -> tuple[Job, Slot] | None:
        """For one's own slot: a job, and the slot with as many others as the job needs. `claim` is told how many are
        free, and of threads of this process one claims at a time. None where there is no job, or the slot is taken."""
        with self._lock:
            free = self._free()
            own = free.pop(number, None)
            job = claim(len(free) + 1) if own else None
            if own is None or job is None:
                return None
            others = [free[other] for other in sorted(free)][: num_for(job) - 1]
            self._taken[number] = [number, *(other.number for other in others)]
            return job, _together(own, others)

    def give_back(self, slot: Slot) -> None:
        """Its job has ended."""
        with self._lock:
            del self._taken[slot.number]
        for lock in slot.more_locks:
            with suppress(OSError):
                os.close(lock)

    def is_lent(self, number: int) -> bool:
        """Whether another slot's job has taken it."""
        with self._lock:
            return any(number in numbers for own, numbers in self._taken.items() if own != number)

    def _free(self) -> dict[int, Slot]:
        taken = {number for numbers in self._taken.values() for number in numbers}
        return {number: slot for number, slot in self._serving.items() if number not in taken}


def _together(own: Slot, others: list[Slot]) -> Slot:
    """One slot with all their cards. Locks are doubled, since another's thread may leave and close its own."""
    if not others:
        return own
    cards = ",".join(slot.variables["CUDA_VISIBLE_DEVICES"] for slot in [own, *others])
    variables = {**own.variables, "CUDA_VISIBLE_DEVICES": cards}
    return own._replace(variables=variables, more_locks=tuple(os.dup(slot.lock) for slot in others))
