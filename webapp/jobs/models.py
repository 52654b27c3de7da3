"""Jobs, what happened in them, and their verdicts. The row is the job; a queue message is only a wake-up."""

import time
import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.job_dir import HELD_OUT
from webapp.contract.recipe import Recipe
from webapp.contract.verdict import Verdict
from webapp.datasets.models import DatasetVersion
from webapp.workers.models import Worker


class State(models.TextChoices):
    """queued -> starting -> running -> finalizing -> succeeded | failed | cancelled; queued again if a worker went,
    paused while a person wants it to wait. `transition.py` has the table of moves and is the only writer."""

    QUEUED = "queued", "Queued"
    PAUSED = "paused", "Paused"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    FINALIZING = "finalizing", "Saving"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (State.STARTING, State.RUNNING, State.FINALIZING)
OVER = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Asked(models.TextChoices):
    """What somebody wants of a running job; its worker reads it with every renewal."""

    NOTHING = "", "Nothing"
    CANCEL = "cancel", "Cancel"
    PAUSE = "pause", "Pause"
    KEEP = "keep", "Stop and keep"
    MOVE = "move", "Move to another worker"


class Priority(models.IntegerChoices):
    LOW = -1, "Low"
    NORMAL = 0, "Normal"
    HIGH = 1, "High"


def queue_rank_now() -> int:
    """Microseconds since the epoch: who asks later stands further back."""
    return time.time_ns() // 1000


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: User) -> "JobQuerySet":
        return self if user.is_staff else self.filter(owner=user)

    def waiting(self) -> "JobQuerySet":
        """Jobs that a worker may take, now or once their time has come. In which order, `queue.py` says.

        Jobs of a disabled account stay queued and start once the account is enabled again.
        """
        return self.filter(state=State.QUEUED, owner__is_active=True)

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
    rows_sha256 = models.CharField(max_length=64, blank=True)
    """Of the job's own rows file; empty for jobs of an older version."""

    state = models.CharField(max_length=20, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="jobs")
    """Whose the present attempt is; None while no worker has it."""
    heartbeat_at = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    """An active job whose lease is over goes to another worker. Set and compared by the database's clock alone."""
    state_deadline = models.DateTimeField(null=True)
    """No active state lasts for ever: past this, the attempt is given up although its worker still renews."""
    not_before = models.DateTimeField(null=True)
    """A queued job waits until then: after a crash it is not tried again at once."""
    asked = models.CharField(max_length=10, choices=Asked.choices, default=Asked.NOTHING, blank=True)
    asked_at = models.DateTimeField(null=True)
    crash_count = models.PositiveSmallIntegerField(default=0)
    """Attempts that ended badly since the last progress."""
    progress_step = models.PositiveIntegerField(default=0)
    """The newest checkpoint's step when the job was last given back: beyond it is progress."""
    avoid_worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="+")
    """Whom the job was moved away from; forgotten when another takes it, or when a person pauses and resumes it."""
    micro_batch_divisor = models.PositiveSmallIntegerField(default=1)
    """2 once memory ran out."""
    resume_from = models.CharField(max_length=60, blank=True)
    """A checkpoint that a person chose, as `checkpoint_chosen` writes it; empty: the newest that verifies."""

    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    queue_rank = models.BigIntegerField(default=queue_rank_now)
    """Order among the owner's own waiting jobs; by time unless the owner moves one."""
    needs_labels = models.JSONField(default=list, blank=True)
    needs_memory_bytes = models.BigIntegerField(default=0)
    time_limit_seconds = models.PositiveIntegerField(default=0)
    """Of one attempt; 0: none."""
    num_processes = models.PositiveSmallIntegerField(default=1)
    """That share each step's rows, on a GPU each where the worker has any."""
    recipe_version = models.PositiveSmallIntegerField(default=1)
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries")
    """The ended job this one was made from."""
    started_from = models.ForeignKey(
        "adapters.AdapterVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="continued_by"
    )
    """The adapter it goes on from, as the recipe's `start_adapter` says; None also where that was deleted since. By
    name, since adapters are an app above this one."""
    idempotency_key = models.CharField(max_length=100, null=True, blank=True)
    """A request that is sent twice with the same key makes one job."""
    request_sha256 = models.CharField(max_length=64, blank=True, default="")
    """Of the request that came with the key: another one with the same key is refused. Empty: not compared."""
    stored_bytes = models.BigIntegerField(null=True)
    """Of its folder, as last measured; None before the first time. See `stored.py`."""

    live = models.JSONField(default=dict)
    """LiveFigures: what the page shows at a glance; the events hold the history."""
    error = models.JSONField(null=True)
    """{"code", "message", "evidence"} of a failed job."""
    verdict_json = models.JSONField(null=True)
    estimate_json = models.JSONField(null=True)
    """What was foretold when it was accepted, see `calibration.Foretold`; None for jobs of an older version."""

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="state_is_known"),
            models.CheckConstraint(condition=Q(asked__in=Asked.values), name="asked_is_known"),
            models.UniqueConstraint(fields=["owner", "idempotency_key"], name="one_job_an_idempotency_key"),
        ]
        indexes = [models.Index(fields=["state"], name="job_state")]

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

    @property
    def held_out_path(self) -> Path:
        """Of a job that succeeded: all held-out rows. Not there for jobs of older versions."""
        return self.attempt_dir / HELD_OUT


class Outcome(models.TextChoices):
    """How an attempt ended."""

    RUNNING = "", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CRASHED = "crashed", "Crashed"
    LOST = "lost", "Worker lost"
    HANDED_BACK = "handed_back", "Handed back"
    CANCELLED = "cancelled", "Cancelled"


class JobAttempt(models.Model):
    """One worker's try at a job, kept for the job's page and the worker's record."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="attempts")
    slot = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, default=Outcome.RUNNING, blank=True)
    reason = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)
    """Negative for the signal that ended the training process; None where nobody saw it end."""

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_number_an_attempt")]

    def __str__(self) -> str:
        return f"{self.job} attempt {self.number}"


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


class LeaderLease(models.Model):
    """Who may sweep just now. Not mutual exclusion: every action of a sweep is guarded by itself as well."""

    name = models.CharField(primary_key=True, max_length=30)
    holder = models.CharField(max_length=100, blank=True)
    expires_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True)
    """When the last sweep ended. A long gap means that nobody could renew a lease either."""
    quiet_until = models.DateTimeField(null=True)
    """After such a gap no lease is expired until then."""

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
