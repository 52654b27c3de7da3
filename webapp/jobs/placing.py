"""Which worker may take which job, and in plain words why one may not."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from webapp.jobs.models import Job
from webapp.workers.models import Intent, Worker

MIN_DISK_FREE_BYTES = 500_000_000
"""A worker with less free space in the data folder takes no job until there is more."""
MOST_ON_A_PROCESSOR = 2
"""Processes of one job. They only share its cores, so more would be slower, and never faster."""


class Needs(NamedTuple):
    """What a person asked of the worker."""

    labels: Sequence[str] = ()
    memory_bytes: int = 0
    num_processes: int = 1


NOTHING_NEEDED = Needs()


def misfit(job: Job, worker: Worker) -> str | None:
    """Why this worker, whatever it does now, cannot do the job; None if it can. Reads as "no worker …"."""
    if worker.recipe_version < job.recipe_version:
        return "of a newer version"
    if job.avoid_worker_id == worker.id:
        return f"other than {worker.name}, from which it was moved away"
    if lacking := lacks(worker, Needs(job.needs_labels, job.needs_memory_bytes, job.num_processes)):
        return lacking
    loads = worker.loads_json
    free = loads[-1].get("disk_free_bytes") if loads else None
    if free is not None and free < MIN_DISK_FREE_BYTES:
        return f"with free disk space ({_gigabytes(free)} left, {_gigabytes(MIN_DISK_FREE_BYTES)} needed)"
    return None


def lacks(worker: Worker, needs: Needs) -> str | None:
    """What a person asked for that this worker has not."""
    missing = [label for label in needs.labels if label not in worker.labels]
    if missing:
        return f"with the label{'s' if len(missing) > 1 else ''} {', '.join(f'“{label}”' for label in missing)}"
    if worker.memory_bytes < needs.memory_bytes:
        return f"with {_gigabytes(needs.memory_bytes)}"
    if most_processes(worker) < needs.num_processes:
        return f"with {needs.num_processes} GPUs"
    return None


def most_processes(worker: Worker) -> int:
    """Of one job at once: one for each GPU that has a slot. Without GPUs they share the processor, which two may."""
    has_gpus = _num_gpus(worker) > 0
    return max(1, min(_num_gpus(worker), worker.slots) if has_gpus else min(MOST_ON_A_PROCESSOR, worker.num_cores))


def slots_for(job: Job, worker: Worker) -> int:
    """That the job takes while it runs there: a GPU's slot for each process, and the one of a processor for all."""
    return job.num_processes if _num_gpus(worker) else 1


def too_many_processes(num_processes: int, workers: Iterable[Worker]) -> str | None:
    """Why no worker that is known could ever run so many for one job, and what to choose; None if one could."""
    known = [worker for worker in workers if worker.devices_json]
    most = max(map(most_processes, known), default=num_processes)
    if num_processes <= most:
        return None
    choose = f"choose {most} or less." if most > 1 else "choose 1."
    if any(map(_num_gpus, known)):
        return f"The largest worker has {most} GPU{'s' if most > 1 else ''}: {choose}"
    return f"No worker has a GPU, and on a processor no more than {most} can share it: {choose}"


def _num_gpus(worker: Worker) -> int:
    return sum(device.kind == "gpu" for device in worker.devices)


def others_for(job: Job, online: Iterable[Worker]) -> list[Worker]:
    """Workers that could take the job over from the one that has it."""
    return [
        worker
        for worker in online
        if worker.id != job.worker_id and worker.intent == Intent.ACTIVE and misfit(job, worker) is None
    ]


def why_no_worker(job: Job, online: Iterable[Worker]) -> str | None:
    """Why the job waits although its turn may have come; None if some worker takes jobs and can do it."""
    workers = list(online)
    if not workers:
        return "Waiting for a worker: none is running. Ask whoever runs this app to start one."
    reasons = [misfit(job, worker) for worker in workers]
    fitting = [worker for worker, reason in zip(workers, reasons, strict=True) if reason is None]
    if any(worker.intent == Intent.ACTIVE for worker in fitting):
        return None
    if fitting:
        return "Waiting for a worker: those that could do it are paused by an admin."
    wanted = sorted({reason for reason in reasons if reason})
    return f"Waiting for a worker {' or '.join(wanted)}."


def _gigabytes(size_bytes: int) -> str:
    """24_000_000_000 -> "24 GB"; short, since it stands in the middle of a sentence."""
    return f"{size_bytes / 1e9:.3g} GB"
