"""What the pages show of a worker, gathered from its row, its jobs and its record."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import Count, Q

from webapp.contract.devices import Device, DeviceLoad
from webapp.contract.version import graftwork_version
from webapp.workers.charts import Curve, device_curves
from webapp.workers.models import Health, Intent, Worker, WorkerQuerySet
from webapp.workers.rules import most_slots

BUSY = ("starting", "running", "finalizing")
"""States of a job that has a slot."""
BAD_ENDS = ("failed", "crashed", "lost")

SENTENCES = {
    Intent.PAUSED: "Takes no new job. What it runs goes on.",
    Intent.DRAINING: "Takes no new job. What it ran has saved a checkpoint and goes to another worker.",
    Intent.RETIRED: "Ended for good; it may not come back under this name.",
}


class DevicePart(NamedTuple):
    device: Device
    load: DeviceLoad
    curves: list[Curve]

    @property
    def gigaflops(self) -> float:
        """A second; 0: not measured."""
        return self.device.flops_a_second / 1e9

    @property
    def memory_percent(self) -> float | None:
        used = self.load.memory_used_bytes
        return None if used is None or not self.device.memory_bytes else 100 * used / self.device.memory_bytes


class JobPart(NamedTuple):
    """A job in one of its slots. Of its `live` figures only these: jobs know workers, not the other way round."""

    job: Any
    percent: float | None
    sentence: str


class Card(NamedTuple):
    worker: Worker
    health: Health
    age_seconds: float | None
    """Since its last heartbeat, by the database's clock."""
    devices: list[DevicePart]
    jobs: list[JobPart]
    last_failure: Any
    app_version: str

    @property
    def is_running(self) -> bool:
        return self.health in (Health.ONLINE, Health.LATE)

    @property
    def is_other_version(self) -> bool:
        return bool(self.worker.version) and self.worker.version != self.app_version

    @property
    def sentence(self) -> str:
        """What its intent means just now."""
        intent = Intent(self.worker.intent)
        if intent is Intent.DRAINING and self.jobs:
            return "Takes no new job. What it runs saves a checkpoint and goes to another worker."
        return SENTENCES.get(intent, "")

    @property
    def disk_free_bytes(self) -> int | None:
        loads = self.worker.loads
        return loads[-1].disk_free_bytes if loads else None

    @property
    def most_slots(self) -> int:
        return most_slots(self.worker.devices, self.worker.num_cores)


def cards(workers: WorkerQuerySet, now: datetime) -> list[Card]:
    counted = workers.annotate(
        num_done=Count("attempts", filter=Q(attempts__outcome="succeeded")),
        num_failed=Count("attempts", filter=Q(attempts__outcome__in=BAD_ENDS)),
    )
    return [_card(worker, now) for worker in counted]


def num_waiting() -> int:
    """Jobs stand above workers in the row of apps, so that only their number is asked, by the model's name."""
    return apps.get_model("jobs", "Job").objects.filter(state="queued", owner__is_active=True).count()


def waiting_note(board: Iterable[Card], num_jobs: int) -> str:
    """Why jobs wait, as far as the workers are the reason; empty where none waits."""
    if not num_jobs:
        return ""
    waiting = f"{num_jobs} job{' waits' if num_jobs == 1 else 's wait'}"
    running = [card for card in board if card.is_running]
    taking = [card for card in running if card.worker.intent == Intent.ACTIVE]
    if not running:
        return f"{waiting}, and no worker is running. Start one."
    if not taking:
        return f"{waiting}, and no worker takes jobs. Resume one."
    if all(len(card.jobs) >= card.worker.slots for card in taking):
        return f"{waiting} for a free slot."
    return f"{waiting}. Each job's page says what it waits for."


def _card(worker: Worker, now: datetime) -> Card:
    loads = worker.loads
    latest = loads[-1].devices if loads else ()
    devices = [
        DevicePart(
            device,
            latest[index] if index < len(latest) else DeviceLoad(),
            device_curves(loads, index, device.memory_bytes),
        )
        for index, device in enumerate(worker.devices)
    ]
    jobs = worker.jobs.filter(state__in=BUSY).select_related("owner").order_by("started_at", "id")
    failed = worker.attempts.filter(outcome__in=BAD_ENDS).select_related("job").order_by("-ended_at", "-id")
    return Card(
        worker=worker,
        health=worker.health(now),
        age_seconds=(now - worker.heartbeat_at).total_seconds() if worker.heartbeat_at else None,
        devices=devices,
        jobs=[_job_part(job) for job in jobs],
        last_failure=failed.first(),
        app_version=graftwork_version(),
    )


def _job_part(job: Any) -> JobPart:
    total = job.live.get("total") or 0
    percent = min(100.0, 100 * job.live.get("done", 0) / total) if total else None
    return JobPart(job, percent, job.live.get("sentence") or "Getting ready.")
