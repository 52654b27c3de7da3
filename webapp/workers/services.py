"""What workers can undergo: they register, show that they live, and are steered. All through the database alone."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import psutil
from django.db import IntegrityError, transaction

from webapp.clock import database_now
from webapp.contract.devices import Device, Load
from webapp.contract.version import RECIPE_VERSION, graftwork_version
from webapp.workers.join_tokens import DEFAULT_HOURS, join_token_make
from webapp.workers.models import LOADS_KEPT, Health, Intent, JoinToken, Worker
from webapp.workers.rules import Refused, default_slots, labels_read, most_slots, name_read, slots_check

__all__ = ["Refused"]


@transaction.atomic
def worker_register(
    *, name: str, host: str, pid: int, devices: Sequence[Device], num_cores: int, slots: int | None = None
) -> Worker:
    """The row of the process that starts under this name. `slots` counts only until somebody has chosen a number.

    Raises Refused if the name is retired or another living process holds it.
    """
    name = name_read(name)
    _row, is_new = Worker.objects.get_or_create(name=name)
    worker = Worker.objects.select_for_update().get(name=name)
    now = database_now()
    if worker.intent == Intent.RETIRED:
        raise Refused(
            f"The worker “{name}” was retired and may not come back under this name. "
            "Choose another one: GRAFTWORK_WORKER_NAME=another-name."
        )
    if (worker.host, worker.pid) != (host, pid) and _is_alive(worker, host, now):
        raise Refused(
            f"The worker “{name}” already runs as process {worker.pid} on {worker.host}; this is process {pid} on "
            f"{host}. Stop that one, or choose another name for this one: GRAFTWORK_WORKER_NAME={name[:59]}-2."
        )
    wanted = (slots or default_slots(devices)) if is_new or worker.slots == 0 else worker.slots
    worker.slots = min(wanted, most_slots(devices, num_cores))
    worker.host, worker.pid, worker.num_cores = host, pid, num_cores
    worker.version, worker.recipe_version = graftwork_version(), RECIPE_VERSION
    worker.devices_json = [device.model_dump() for device in devices]
    worker.started_at = worker.heartbeat_at = now
    worker.stopped_at = None
    worker.save()
    return worker


def _is_alive(worker: Worker, host: str, now: datetime) -> bool:
    """Whether the process in the row still runs. On our own host we can look, and need not wait for its silence."""
    if worker.health(now) not in (Health.ONLINE, Health.LATE):
        return False
    if worker.host != host or worker.pid is None or worker.started_at is None:
        return True
    try:
        process = psutil.Process(worker.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        age_seconds = time.time() - float(process.create_time())
    except psutil.NoSuchProcess:
        return False
    # A process younger than the row only got the number of one that is gone. Ages, so that clocks need not agree.
    return age_seconds > (now - worker.started_at).total_seconds() - 2


@transaction.atomic
def worker_heartbeat(worker_id: UUID, load: Load, *, host: str, pid: int) -> Worker | None:
    """The fresh row; None if it is gone or belongs to another process by now."""
    worker = Worker.objects.select_for_update().filter(id=worker_id, host=host, pid=pid).first()
    if worker is None:
        return None
    worker.loads_json = [*worker.loads_json, load.model_dump()][-LOADS_KEPT:]
    worker.heartbeat_at = database_now()
    worker.save(update_fields=["loads_json", "heartbeat_at"])
    return worker


@transaction.atomic
def worker_speed_note(worker_id: UUID, flops_a_second: float) -> None:
    """What products were measured to reach on a slot's share of its processor."""
    worker = Worker.objects.select_for_update().filter(id=worker_id).first()
    if worker is None:
        return
    worker.devices_json = [
        device.model_copy(update={"flops_a_second": flops_a_second} if device.kind == "cpu" else {}).model_dump()
        for device in worker.devices
    ]
    worker.save(update_fields=["devices_json"])


def worker_goodbye(worker_id: UUID, *, host: str, pid: int) -> None:
    """A clean end. Of a process that no longer holds the name it changes nothing."""
    Worker.objects.filter(id=worker_id, host=host, pid=pid).update(stopped_at=database_now())


def worker_add(
    *, name: str, labels: Iterable[str] = (), slots: int = 0, hours: int = DEFAULT_HOURS
) -> tuple[Worker, str]:
    """A worker that is expected, and the token it joins with, told once. 0 slots: decided when it first starts.

    Raises Refused.
    """
    name, read = name_read(name), labels_read(labels)
    if slots != 0:
        slots_check(slots, (), 0)
    try:
        with transaction.atomic():
            worker = Worker.objects.create(name=name, labels=read, slots=slots)
    except IntegrityError as error:
        raise Refused(f"There is or was a worker “{name}” already. Choose another name.", "name") from error
    return worker, join_token_make(worker.id, hours)[1]


def worker_pause(worker_id: UUID) -> bool:
    """Takes no new job; what it runs goes on."""
    return _move(worker_id, Intent.PAUSED, Intent.ACTIVE, Intent.DRAINING)


def worker_drain(worker_id: UUID) -> bool:
    """Takes no new job, and what it runs saves a checkpoint and goes to another worker."""
    return _move(worker_id, Intent.DRAINING, Intent.ACTIVE, Intent.PAUSED)


def worker_resume(worker_id: UUID) -> bool:
    """Takes jobs again."""
    return _move(worker_id, Intent.ACTIVE, Intent.PAUSED, Intent.DRAINING)


def worker_retire(worker_id: UUID) -> bool:
    """Drained for good: its process ends, its tokens are worth nothing, its name is not given again."""
    with transaction.atomic():
        is_retired = Worker.objects.in_service().filter(id=worker_id).update(intent=Intent.RETIRED) == 1
        JoinToken.objects.filter(worker_id=worker_id, revoked_at=None).update(revoked_at=database_now())
    return is_retired


@transaction.atomic
def worker_set(worker_id: UUID, *, labels: Iterable[str], slots: int) -> Worker:
    """0 slots leave the number open for a worker that has not started yet. Raises Refused."""
    worker = Worker.objects.select_for_update().get(id=worker_id)
    worker.labels = labels_read(labels)
    if slots or worker.slots:
        worker.slots = slots_check(slots, worker.devices, worker.num_cores)
    worker.save(update_fields=["labels", "slots"])
    return worker


def _move(worker_id: UUID, to: Intent, *whence: Intent) -> bool:
    """False if it was there already or is retired: retiring cannot be undone."""
    return bool(Worker.objects.filter(id=worker_id, intent__in=whence).update(intent=to))
