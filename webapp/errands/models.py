"""Errands: small work that a worker does for a page which may not do it itself, as rendering or asking the Hub."""

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp.accounts.models import User
from webapp.workers.models import Worker


class Kind(models.TextChoices):
    """What can be asked; `worker/errand_kinds.py` knows how each is done."""

    PREVIEW = "preview", "Preview"
    LOOK_AT_MODEL = "look_at_model", "Look at a model"
    FETCH_MODEL = "fetch_model", "Fetch a model"


class State(models.TextChoices):
    """waiting -> running -> done | failed | stopped; waiting again if the worker went."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped"


MOVING = (State.WAITING, State.RUNNING)


class ErrandQuerySet(models.QuerySet["Errand"]):
    def lost(self, now: datetime) -> "ErrandQuerySet":
        """Begun by a worker that went silent."""
        return self.filter(state=State.RUNNING, lease_until__lt=now)

    def to_take(self, now: datetime) -> "ErrandQuerySet":
        """What a worker may begin. Nothing that a disabled account has asked for."""
        free = Q(state=State.WAITING) | Q(state=State.RUNNING, lease_until__lt=now)
        return self.filter(free, asked_by__in=User.objects.filter(is_active=True))

    def moving(self) -> "ErrandQuerySet":
        return self.filter(state__in=MOVING)


class Errand(models.Model):
    """A question and its answer. `attempt` only grows; every write by a worker names the attempt it believes it is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="errands")
    payload = models.JSONField()
    question_sha256 = models.CharField(max_length=64)
    """Of kind and payload: the same question has the same."""
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    wants_stop = models.BooleanField(default=False)
    """Somebody asked to stop it while it runs; its worker reads this with every beat."""

    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="errands")
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    num_lost = models.PositiveSmallIntegerField(default=0)
    """Attempts whose worker went silent."""

    progress = models.JSONField(default=dict)
    """{"sentence", "done", "total", "unit"} once it has something to tell."""
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    """Why it failed, in a sentence for people."""
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = ErrandQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="errand_kind_is_known"),
            models.CheckConstraint(condition=Q(state__in=State.values), name="errand_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["state", "kind"], name="errand_state"),
            models.Index(fields=["question_sha256"], name="errand_question"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_moving(self) -> bool:
        return self.state in MOVING

    @property
    def percent(self) -> float | None:
        """How much is done, where that can be told."""
        told: dict[str, Any] = self.progress
        return 100 * told["done"] / told["total"] if told.get("total") else None
