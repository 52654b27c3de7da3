"""Slots of one worker's process, with real file locks: who may take which, and several of them at once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from webapp import storage
from webapp.contract.devices import Device
from webapp.jobs.models import Job
from webapp.workers.models import Worker
from worker.free_slots import FreeSlots, Slot
from worker.slot_lock import slot_lock_try
from worker.slots import Slots


def opened(folder: Path, *numbers: int) -> tuple[FreeSlots, list[Slot]]:
    free = FreeSlots()
    slots = []
    for number in numbers:
        lock = slot_lock_try(folder / str(number))
        assert lock is not None
        slots.append(Slot(number, lock, {"CUDA_VISIBLE_DEVICES": f"GPU-{number}"}))
        free.open(slots[-1])
    return free, slots


def wanting(num_slots: int) -> Callable[[int], Job | None]:
    """As `job_claim` does it: a job where so many are free."""
    return lambda num_free: Job(num_processes=num_slots) if num_slots <= num_free else None


def num_for(job: Job) -> int:
    return job.num_processes


def test_a_job_on_one_takes_its_own_and_leaves_the_rest(tmp_path: Path) -> None:
    free, slots = opened(tmp_path, 0, 1)
    taken = free.take(1, wanting(1), num_for)
    assert taken and taken[1] == slots[1]
    assert free.take(1, wanting(1), num_for) is None
    assert free.take(0, wanting(1), num_for)


def test_a_job_on_several_sees_all_their_cards_and_takes_them_until_it_ends(tmp_path: Path) -> None:
    free, _slots = opened(tmp_path, 0, 1, 2)
    taken = free.take(1, wanting(2), num_for)
    assert taken and taken[1].variables["CUDA_VISIBLE_DEVICES"] == "GPU-1,GPU-0"
    assert free.take(0, wanting(1), num_for) is None
    assert free.take(2, wanting(2), num_for) is None, "only one is free"
    assert [free.is_lent(number) for number in (0, 1, 2)] == [True, False, False]
    free.give_back(taken[1])
    assert free.take(2, wanting(3), num_for)


@pytest.mark.parametrize("num_slots", [1, 2])
@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_what_was_compiled_for_one_job_is_there_for_the_next(kind: str, num_slots: int) -> None:
    device = Device(kind=kind, name="one", memory_bytes=1, uuid="GPU-1" if kind == "gpu" else "")
    variables = Slots(Worker(name="alpha", slots=num_slots))._variables(device)
    assert variables["NUMBA_CACHE_DIR"] == str(storage.compiled_dir())
    assert variables.get("CUDA_VISIBLE_DEVICES") == (device.uuid or None)


def test_a_card_stays_locked_while_the_job_of_others_runs_on_it(tmp_path: Path) -> None:
    """Also when its own slot is closed meanwhile: nobody else may compute on it."""
    free, slots = opened(tmp_path, 0, 1)
    taken = free.take(1, wanting(2), num_for)
    assert taken
    free.close(0)
    os.close(slots[0].lock)
    assert slot_lock_try(tmp_path / "0") is None
    free.give_back(taken[1])
    assert slot_lock_try(tmp_path / "0") is not None
    assert free.take(1, wanting(2), num_for) is None, "the closed one is gone"
