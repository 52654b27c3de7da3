"""Whether a job fits each worker, how long it will take there, and when it would begin and end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from webapp.base_models.models import BaseModel
from webapp.clock import database_now
from webapp.contract.devices import Device
from webapp.contract.recipe import Recipe
from webapp.contract.split import TooFewRows, split_sizes
from webapp.contract.work import Hardware, Kind, Work
from webapp.datasets.models import DatasetVersion
from webapp.jobs.calibration import Correction, Foretold, correction_for, foretold
from webapp.jobs.models import Job
from webapp.jobs.placing import NOTHING_NEEDED, Needs, lacks
from webapp.jobs.workload import work_of
from webapp.workers.models import Intent, Worker

COMFORTABLE = 0.8
"""Up to this share of a worker's memory a job fits; beyond it is tight, since estimates err."""

Fitting = Literal["fits", "tight", "too_large"]


class Place(NamedTuple):
    """What one slot of a worker has, and how the job would do there."""

    worker: Worker
    device: Device
    memory_bytes: int
    foretold: Foretold
    fitting: Fitting


def places_of(work: Work, base_model_id: str, workers: Sequence[Worker]) -> list[Place]:
    """One a worker, in their order; a worker that has told no device yet is left out."""
    busy = set(Job.objects.active().values_list("worker_id", flat=True))
    kinds: set[Kind] = {device.kind for worker in workers for device in worker.devices}
    corrections = {kind: correction_for(base_model_id, work.method, kind) for kind in kinds}
    return [
        _place(worker, device, work, corrections[device.kind], is_busy=worker.id in busy)
        for worker in workers
        if (device := largest_device(worker)) is not None
    ]


def largest_device(worker: Worker) -> Device | None:
    return max(worker.devices, key=lambda device: device.memory_bytes, default=None)


def fitting(needed_bytes: float, memory_bytes: int) -> Fitting:
    if needed_bytes <= COMFORTABLE * memory_bytes:
        return "fits"
    return "tight" if needed_bytes <= memory_bytes else "too_large"


def best_place(places: Sequence[Place]) -> Place | None:
    """Where it would most likely run: a worker that takes jobs, and as comfortably as possible."""
    order = {"fits": 0, "tight": 1, "too_large": 2}
    taking = [place for place in places if place.worker.intent == Intent.ACTIVE] or list(places)
    return min(taking, key=lambda place: (order[place.fitting], -place.memory_bytes), default=None)


def memory_that_sorts(places: Sequence[Place]) -> int | None:
    """Bytes to ask for so that no worker takes the job on which it will not fit; None where that need not or cannot
    be asked for."""
    able = [place.device.memory_bytes for place in places if place.fitting != "too_large"]
    unable = [place.device.memory_bytes for place in places if place.fitting == "too_large"]
    return min(able) if able and unable and min(able) > max(unable) else None


def workers_for(now: datetime, needs: Needs) -> list[Worker]:
    """Those online that have what a person asked for."""
    return [worker for worker in Worker.objects.online(now) if not lacks(worker, needs)]


def estimate_now(
    version: DatasetVersion, base_model: BaseModel, recipe: Recipe, needs: Needs = NOTHING_NEEDED
) -> Foretold | None:
    """Of a job that is about to be accepted: for the worker it would most likely go to, without any for a processor.
    None where its rows are too few to be split."""
    try:
        sizes = split_sizes(version.num_rows)
    except TooFewRows:
        return None
    work = work_of(
        version, base_model, task=recipe.task, method=recipe.method, knobs=recipe.knobs, sizes=sizes,
        num_processes=needs.num_processes,
    )  # fmt: skip
    workers = workers_for(database_now(), needs)
    place = best_place(places_of(work, base_model.id, workers))
    return place.foretold if place else foretold_anywhere(work, base_model.id)


def foretold_anywhere(work: Work, base_model_id: str) -> Foretold:
    """Where no worker is known: by one thread of a processor."""
    return foretold(work, Hardware("cpu"), correction_for(base_model_id, work.method, "cpu"))


def _hardware(worker: Worker, device: Device) -> Hardware:
    """Of one slot: those of a processor share its threads."""
    shared = (device.threads or device.cores) // worker.slots if device.kind == "cpu" else 1
    return Hardware(device.kind, max(1, shared), device.flops_a_second)


def _place(worker: Worker, device: Device, work: Work, correction: Correction, *, is_busy: bool) -> Place:
    told = foretold(work, _hardware(worker, device), correction)
    memory = _memory_of_a_slot(worker, device, is_busy=is_busy)
    return Place(worker, device, memory, told, fitting(told.memory_bytes, memory))


def _memory_of_a_slot(worker: Worker, device: Device, *, is_busy: bool) -> int:
    """What others leave free. What jobs of its own hold now is free again when this one begins."""
    loads = worker.loads
    number = worker.devices.index(device)
    used = 0
    if loads and not is_busy and number < len(loads[-1].devices):
        used = loads[-1].devices[number].memory_used_bytes or 0
    free = max(0, device.memory_bytes - used)
    # Several trainings on one processor share its memory; a card is one slot's alone.
    return free // worker.slots if device.kind == "cpu" else free
