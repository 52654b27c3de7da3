"""Uploads (a file somebody sent), datasets, and their immutable versions (rows that can be trained on)."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from webapp import storage
from webapp.accounts.models import User
from webapp.contract.tasks import Task


class UploadQuerySet(models.QuerySet["Upload"]):
    def visible_to(self, user: User) -> "UploadQuerySet":
        return self.filter(owner=user)


class Upload(models.Model):
    """A file somebody sent, waiting for its owner to say which column is what."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    file_name = models.CharField(max_length=200)
    format = models.CharField(max_length=10, default="")
    """csv, jsonl, or json (one list)"""
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    columns = models.JSONField(default=list)
    """Names in the order of the file."""
    num_rows = models.IntegerField(default=0)
    is_read = models.BooleanField(default=False)
    """Whether format, columns and number of rows are known: the file was read to its end once."""
    refusal = models.JSONField(null=True)
    """The RowProblem for which the file cannot be used. Nothing is kept of the file then."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UploadQuerySet.as_manager()

    def __str__(self) -> str:
        return self.file_name

    @property
    def path(self) -> Path:
        return storage.upload_path(self.id)


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: User) -> "DatasetQuerySet":
        return self if user.is_staff else self.filter(owner=user)


class Dataset(models.Model):
    """A named set of rows."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> "DatasetVersion":
        version = self.versions.order_by("-number").first()
        assert version is not None, "a dataset is created with its first version"
        return version


class DatasetVersion(models.Model):
    """Rows as they are trained on: never changed after creation, known by their sha256."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="versions")
    mapping = models.JSONField()
    """{"input": column, "output": column} or {"messages": column}"""
    task_guess = models.CharField(max_length=20)
    num_rows = models.IntegerField()
    num_skipped = models.IntegerField(default=0)
    problems = models.JSONField(default=list)
    """RowProblem values of the skipped rows and warnings, the first hundred."""
    stats = models.JSONField(default=dict)
    """RowStats.as_json: histograms of lengths, labels with counts, duplicates."""
    rows_sha256 = models.CharField(max_length=64)
    checked_at = models.DateTimeField(null=True)
    """When the scrub last read it all; None before the first time."""
    is_damaged = models.BooleanField(default=False)
    """The bytes on the disk are no longer those that were recorded."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="one_number_a_version")]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    @property
    def rows_path(self) -> Path:
        return storage.dataset_rows_path(self.id)

    @property
    def task(self) -> Task:
        """What the rows look made for; a job may choose otherwise."""
        return "classify" if self.task_guess == "classify" else "generate"

    @property
    def is_chat(self) -> bool:
        return "messages" in self.mapping

    @property
    def labels(self) -> dict[str, int]:
        """Output text -> rows, most common first; empty where there are too many to be labels."""
        labels: dict[str, int] = self.stats.get("labels", {})
        return dict(sorted(labels.items(), key=lambda item: (-item[1], item[0])))
