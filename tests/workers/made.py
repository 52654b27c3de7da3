"""Workers as they register, on machines of our choice, and jobs in their hands."""

import os
import socket
from typing import Any

from tests.factories import make_job
from webapp.accounts.models import User
from webapp.contract.devices import Device
from webapp.jobs.models import Job, JobAttempt
from webapp.workers.models import Worker
from webapp.workers.services import worker_register

CPU = Device(kind="cpu", name="Some Processor", memory_bytes=16_000_000_000, cores=4)
HERE = socket.gethostname()
ELSEWHERE = "far-away"


def gpu(number: int = 0) -> Device:
    return Device(kind="gpu", name="NVIDIA T4", memory_bytes=16_000_000_000, uuid=f"GPU-{number}")


def register(name: str = "box", **changed: Any) -> Worker:
    """As this very process does."""
    fields = {"host": HERE, "pid": os.getpid(), "devices": (CPU,), "num_cores": 4, **changed}
    return worker_register(name=name, **fields)


def make_worker(name: str = "box", **fields: Any) -> Worker:
    """One that registered, with these columns changed."""
    worker = register(name)
    Worker.objects.filter(id=worker.id).update(**fields)
    worker.refresh_from_db()
    return worker


def give_job(worker: Worker, owner: User, **fields: Any) -> Job:
    """A job that runs there, with its attempt."""
    job = make_job(owner, **{"state": "running", "attempt": 1, "worker": worker, **fields})
    JobAttempt.objects.create(job=job, number=1, worker=worker, started_at=worker.started_at)
    return job
