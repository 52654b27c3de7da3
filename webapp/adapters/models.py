"""Adapters: the small, versioned results one can download and use."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils.text import slugify

from webapp import storage
from webapp.accounts.models import User
from webapp.jobs.models import Job


class AdapterQuerySet(models.QuerySet["Adapter"]):
    def visible_to(self, user: User) -> "AdapterQuerySet":
        return self if user.is_staff else self.filter(owner=user)


class Adapter(models.Model):
    """A name under which versions are gathered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AdapterQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_name_an_owner")]

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> "AdapterVersion":
        version = self.versions.order_by("-number").first()
        assert version is not None, "an adapter is created with its first version"
        return version


class AdapterVersion(models.Model):
    """The committed files of one succeeded job; sizes and checksums as recorded when they were committed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    adapter = models.ForeignKey(Adapter, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="adapter_version")
    manifest = models.JSONField()
    """The adapter's manifest.json: files with size and sha256, base model, method."""
    size_bytes = models.BigIntegerField()
    """Of the adapter's weights."""
    zip_bytes = models.BigIntegerField()
    zip_sha256 = models.CharField(max_length=64)
    checked_at = models.DateTimeField(null=True)
    """When the scrub last read it all; None before the first time."""
    is_damaged = models.BooleanField(default=False)
    """The bytes on the disk are no longer those that were recorded."""
    held_out_sha256 = models.CharField(max_length=64, blank=True, default="")
    """Of the job's held-out rows with both models' answers; empty where an older version of the app kept none."""
    held_out_is_damaged = models.BooleanField(default=False)
    """As `is_damaged`, of these rows: the adapter itself may be whole all the same."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["adapter", "number"], name="one_number_an_adapter_version")]

    def __str__(self) -> str:
        return f"{self.adapter} v{self.number}"

    @property
    def files_dir(self) -> Path:
        return storage.adapter_dir(self.id) / "files"

    @property
    def zip_name(self) -> str:
        """What the zip is called by whoever downloads it."""
        return f"{slugify(self.adapter.name) or 'adapter'}-v{self.number}.zip"

    @property
    def zip_path(self) -> Path:
        return storage.adapter_dir(self.id) / "adapter.zip"
