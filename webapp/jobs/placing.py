"""Which worker may take which job, and in plain words why one may not."""

from collections.abc import Iterable, Sequence

from webapp.jobs.models import Job
from webapp.workers.models import Intent, Worker

MIN_DISK_FREE_BYTES = 500_000_000
"""A worker with less free space in the data folder takes no job until there is more."""


def misfit(job: Job, worker: Worker) -> str | None:
    """Why this worker, whatever it does now, cannot do the job; None if it can. Reads as "no worker …"."""
    if worker.recipe_version < job.recipe_version:
        return "of a newer version"
    if job.avoid_worker_id == worker.id:
        return f"other than {worker.name}, from which it was moved away"
    if lacking := lacks(worker, job.needs_labels, job.needs_memory_bytes):
        return lacking
    loads = worker.loads_json
    free = loads[-1].get("disk_free_bytes") if loads else None
    if free is not None and free < MIN_DISK_FREE_BYTES:
        return f"with free disk space ({_gigabytes(free)} left, {_gigabytes(MIN_DISK_FREE_BYTES)} needed)"
    return None


def lacks(worker: Worker, needs_labels: Sequence[str], needs_memory_bytes: int) -> str | None:
    """What a person asked for that this worker has not."""
    missing = [label for label in needs_labels if label not in worker.labels]
    if missing:
        return f"with the label{'s' if len(missing) > 1 else ''} {', '.join(f'“{label}”' for label in missing)}"
    if worker.memory_bytes < needs_memory_bytes:
        return f"with {_gigabytes(needs_memory_bytes)}"
    return None


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
