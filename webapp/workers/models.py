"""Workers as the admin sees and steers them. The row is what a worker obeys, so it works while the broker is down."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from webapp.contract.devices import Device, Load

LOST_AFTER = timedelta(seconds=60)
"""A worker that has not written for this long is taken for dead."""
LATE_AFTER = timedelta(seconds=30)
LOADS_KEPT = 60
"""The latest figures kept for the sparklines, one a heartbeat."""


class Intent(models.TextChoices):
    """What the admin wants of a worker."""

    ACTIVE = "active", "Takes jobs"
    PAUSED = "paused", "Paused"
    DRAINING = "draining", "Drained"
    RETIRED = "retired", "Retired"


class Health(models.TextChoices):
    """How a worker is, by its heartbeat."""

    EXPECTED = "expected", "Not seen yet"
    ONLINE = "online", "Online"
    LATE = "late", "Late"
    LOST = "lost", "Lost"
    STOPPED = "stopped", "Stopped"


class WorkerQuerySet(models.QuerySet["Worker"]):
    def online(self, now: datetime) -> "WorkerQuerySet":
        return self.filter(heartbeat_at__gt=now - LOST_AFTER, stopped_at=None).exclude(intent=Intent.RETIRED)

    def in_service(self) -> "WorkerQuerySet":
        return self.exclude(intent=Intent.RETIRED)


class Worker(models.Model):
    """One worker process on one host. `slots`: how many jobs it runs at once, one a GPU or a share of the CPU."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    labels = models.JSONField(default=list, blank=True)
    """Words a job can require, as ["fast", "eu"]."""
    slots = models.PositiveSmallIntegerField(default=1)
    intent = models.CharField(max_length=10, choices=Intent.choices, default=Intent.ACTIVE)

    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True)
    version = models.CharField(max_length=50, blank=True)
    recipe_version = models.PositiveSmallIntegerField(default=1)
    """The newest recipe it can train."""
    devices_json = models.JSONField(default=list)
    loads_json = models.JSONField(default=list)
    """The latest `LOADS_KEPT` loads, the newest last."""
    num_cores = models.PositiveSmallIntegerField(default=0)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    """When it said goodbye; None while it runs or if it vanished."""

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=Q(intent__in=Intent.values), name="intent_is_known")]

    def __str__(self) -> str:
        return self.name

    @property
    def devices(self) -> list[Device]:
        return [Device.model_validate(device) for device in self.devices_json]

    @property
    def loads(self) -> list[Load]:
        return [Load.model_validate(load) for load in self.loads_json]

    @property
    def memory_bytes(self) -> int:
        """Of its largest device: what one job can have."""
        return max((device.memory_bytes for device in self.devices), default=0)

    def health(self, now: datetime) -> Health:
        if self.heartbeat_at is None:
            return Health.EXPECTED
        if self.stopped_at is not None:
            return Health.STOPPED
        if now - self.heartbeat_at > LOST_AFTER:
            return Health.LOST
        return Health.LATE if now - self.heartbeat_at > LATE_AFTER else Health.ONLINE


class TokenState(models.TextChoices):
    """What a join token is still good for."""

    UNUSED = "unused", "Not used yet"
    USED = "used", "Used"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class JoinToken(models.Model):
    """Lets one machine join as this worker, once. Only the hashes of the token and of the machine's key are kept."""

    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="join_tokens")
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    """Until then it must be used; a machine that has joined may come back later as well."""
    used_at = models.DateTimeField(null=True)
    used_from = models.CharField(max_length=300, blank=True)
    """The machine's name for itself, and its address."""
    key_sha256 = models.CharField(max_length=64, blank=True)
    revoked_at = models.DateTimeField(null=True)
    """Also of a token that was replaced."""

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"join token of {self.worker}"

    def state(self, now: datetime) -> TokenState:
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.used_at is not None:
            return TokenState.USED
        return TokenState.EXPIRED if self.expires_at <= now else TokenState.UNUSED
