"""Jobs, what happened in them, and their verdicts. The row is the job; a queue message is only a wake-up."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Verdict
from webapp.datasets.models import DatasetVersion


class State(models.TextChoices):
    """queued -> starting -> running -> finalizing -> succeeded | failed | cancelled; queued again if a worker went."""

    QUEUED = "queued", "Queued"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    FINALIZING = "finalizing", "Saving"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (State.STARTING, State.RUNNING, State.FINALIZING)
OVER = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: User) -> "JobQuerySet":
        return self if user.is_staff else self.filter(owner=user)

    def waiting(self) -> "JobQuerySet":
        """Jobs a worker may take, the oldest first."""
        return self.filter(state=State.QUEUED).order_by("created_at")

    def active(self) -> "JobQuerySet":
        return self.filter(state__in=ACTIVE)


class Job(models.Model):
    """One training run. `attempt` only grows; every write by a worker names the attempt it believes it is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    name = models.CharField(max_length=100)
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="jobs")
    base_model = models.ForeignKey(BaseModel, on_delete=models.PROTECT, related_name="jobs")
    recipe_json = models.JSONField()
    split = models.JSONField()
    """{"train": n, "validation": n, "test": n}"""
    split_sha256 = models.CharField(max_length=64)

    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    live = models.JSONField(default=dict)
    """LiveFigures: what the page shows at a glance; the events hold the history."""
    error = models.JSONField(null=True)
    """{"code", "message", "evidence"} of a failed job."""
    verdict_json = models.JSONField(null=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.CheckConstraint(condition=Q(state__in=State.values), name="state_is_known")]

    def __str__(self) -> str:
        return self.name

    @property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.recipe_json)

    @property
    def verdict(self) -> Verdict | None:
        return Verdict.model_validate(self.verdict_json) if self.verdict_json else None

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def attempt_dir(self) -> Path:
        return storage.attempt_dir(self.id, self.attempt)


class JobEventQuerySet(models.QuerySet["JobEvent"]):
    def after(self, seq: int) -> "JobEventQuerySet":
        return self.filter(seq__gt=seq).order_by("seq")


class JobEvent(models.Model):
    """Something that happened, in order. `kind` is an engine event's kind, or `moved` for a change of state."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=30)
    data = models.JSONField()

    objects = JobEventQuerySet.as_manager()

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="one_seq_an_event")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
