"""A worker's slots: as many threads as jobs it may run at once, each taking one job after the other.

Woken by the bell (the broker's message), and by themselves every few seconds, so that no lost wake-up is missed.
How many slots there are and whether they take jobs, the worker's row says.
"""

import logging
import os
import threading
import time
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import Error, connection

from webapp import storage
from webapp.contract.devices import Device
from webapp.jobs.attempts import job_claim
from webapp.jobs.models import Job
from webapp.jobs.placing import slots_for
from webapp.workers.models import Intent, Worker
from webapp.workers.services import worker_speed_note
from worker.bell import Bell
from worker.free_slots import FreeSlots, Slot
from worker.memory_kills import memory_kills_note
from worker.run import Run
from worker.slot_lock import slot_lock_path, slot_lock_try
from worker.standby import ENGINE, Standby
from worker.supervisor import Order

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""After a database error, and while a slot's lock is still held by an orphan."""


def memory_note_path(worker: Worker) -> Path:
    """Where a worker's process leaves for the next one how often memory had run out."""
    return storage.run_dir() / f"memory-kills-{worker.name}"


class Slots:
    """Threads of this process; `follow` is told of every change to the worker's row."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.is_leaving = threading.Event()
        self._bell = Bell()
        self._free = FreeSlots()
        self._threads: dict[int, threading.Thread] = {}

    def follow(self, worker: Worker) -> None:
        """Take over what the admin changed: more or fewer slots, another intent."""
        self.worker = worker
        for number in range(worker.slots):
            thread = self._threads.get(number)
            if not self.is_leaving.is_set() and (thread is None or not thread.is_alive()):
                self._threads[number] = threading.Thread(target=self._serve, args=[number], name=f"slot {number}")
                self._threads[number].start()
        self.ring()

    def ring(self) -> None:
        """There may be work."""
        self._bell.ring()

    def leave(self) -> None:
        """Hand back what runs and take nothing more."""
        self.is_leaving.set()
        self.ring()

    def join(self) -> None:
        for thread in list(self._threads.values()):
            thread.join()

    def order(self) -> tuple[Order, str]:
        """What the jobs of this worker shall do now, and why."""
        if self.is_leaving.is_set():
            return "stop", "The worker was shut down. Waiting for another one."
        if self.worker.intent in (Intent.DRAINING, Intent.RETIRED):
            return "stop", "The worker was drained by an admin. Waiting for another one."
        return "go_on", ""

    def _serve(self, number: int) -> None:
        device = self._device(number)
        path = slot_lock_path(self.worker.name, number, device)
        lock = standby = None
        try:
            while lock is None and not self._is_over(number):
                lock = slot_lock_try(path)
                if lock is None:
                    log.warning("slot %s waits: %s is held by another process", number, path)
                    time.sleep(LOOK_AGAIN_SECONDS)
            if lock is not None:
                slot = Slot(number, lock, self._variables(device))
                standby = self._standby(slot)
                self._free.open(slot)
                self._take_jobs(number, standby)
        finally:
            self._free.close(number)
            if standby is not None:
                standby.end()
            if lock is not None:
                os.close(lock)
            connection.close()

    def _take_jobs(self, number: int, standby: Standby | None) -> None:
        while not self._is_over(number):
            rings_before = self._bell.num_rings
            worker = self.worker_seen()
            try:
                taken = self._free.take(number, partial(job_claim, worker, number), partial(slots_for, worker=worker))
            except Error as error:
                log.warning("the database is away: %s", error)
                connection.close()
                time.sleep(LOOK_AGAIN_SECONDS)
                continue
            if taken is None:
                connection.close()
                self._see_to(standby, is_lent=self._free.is_lent(number))
                self._bell.wait(rings_before, settings.TIMING.poll)
            else:
                self._run(*taken, standby)

    def _see_to(self, standby: Standby | None, *, is_lent: bool) -> None:
        """Nothing else is to be done."""
        if standby is None:
            return
        standby.keep() if self.worker.intent == Intent.ACTIVE and not is_lent else standby.end()
        if (flops := standby.flops_a_second()) > max((one.flops_a_second for one in self.worker.devices), default=0.0):
            self._note_speed(flops)

    def _note_speed(self, flops_a_second: float) -> None:
        """The best of all looks, since what disturbs a look only makes it slower."""
        try:
            worker_speed_note(self.worker.id, flops_a_second)
        except Error as error:
            log.warning("how fast the processor is waits for the database: %s", error)
        connection.close()

    def _run(self, job: Job, slot: Slot, standby: Standby | None) -> None:
        try:
            if slot.more_locks:
                # It begins cold: none that stands by, here or in the slots it took, keeps memory of its cards.
                self._see_to(standby, is_lent=True)
                self.ring()
            Run(job, slot, self.order, standby).carry_out()
            memory_kills_note(memory_note_path(self.worker))
        finally:
            self._free.give_back(slot)
            if slot.more_locks:
                self.ring()

    def worker_seen(self) -> Worker:
        """A view of the row of the caller's own: `job_claim` brings it up to date in this thread."""
        return Worker(id=self.worker.id, name=self.worker.name)

    def _standby(self, slot: Slot) -> Standby | None:
        """One that is no use to another program than the engine."""
        if not settings.STANDBY or settings.ENGINE_MODULE != ENGINE:
            return None
        path = storage.run_dir() / f"standby-{self.worker.name}-{slot.number}.log"
        is_card = "CUDA_VISIBLE_DEVICES" in slot.variables
        return Standby(slot.lock, slot.variables, path, None if is_card else path.with_suffix(".speed"))

    def _is_over(self, number: int) -> bool:
        return self.is_leaving.is_set() or number >= self.worker.slots

    def _device(self, number: int) -> Device:
        devices = self.worker.devices
        return devices[min(number, len(devices) - 1)]

    def _variables(self, device: Device) -> dict[str, str]:
        """What was compiled is kept; a GPU's slot sees that card alone; slots of a processor share its cores."""
        kept = str(storage.compiled_dir())
        if device.kind == "gpu":
            return {"CUDA_VISIBLE_DEVICES": device.uuid, "TORCHINDUCTOR_CACHE_DIR": kept, "NUMBA_CACHE_DIR": kept}
        if self.worker.slots > 1 and "OMP_NUM_THREADS" not in os.environ:
            threads = str(max(1, self.worker.num_cores // self.worker.slots))
            return {"OMP_NUM_THREADS": threads, "NUMBA_CACHE_DIR": kept}
        return {"NUMBA_CACHE_DIR": kept}
