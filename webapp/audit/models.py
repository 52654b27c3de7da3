"""The audit log: who did what, when, from where, and how it ended. Entries are added and never changed."""

from typing import Any, NoReturn

from django.db import models


class AppendOnly(TypeError):
    """Somebody tried to change or delete an entry of the audit log."""

    def __init__(self) -> None:
        super().__init__("Entries of the audit log are added, never changed or deleted.")


class Outcome(models.TextChoices):
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **_: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly


class AuditEntry(models.Model):
    """One action. `sha256` is over all the other fields, and so over the entry before it as well.

    People and objects are kept as text, not as foreign keys: an entry outlives what it tells of.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    """1, 2, 3 … without gaps."""
    at = models.DateTimeField(db_index=True)
    actor_id = models.BigIntegerField(null=True)
    """None where nobody was signed in: a failed sign-in, a joining worker, the command line."""
    actor = models.CharField(max_length=200)
    address = models.CharField(max_length=45, blank=True)
    """The client's IP address; empty for the command line."""
    action = models.CharField(max_length=60)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    object_kind = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=100, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    request_id = models.UUIDField(unique=True)
    """Of the request or command: it leaves one entry, however often its transaction was tried."""
    previous_sha256 = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["actor", "-number"], name="audit_actor"),
            models.Index(fields=["action", "-number"], name="audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"

    def save(self, *words: Any, **named: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*words, **{**named, "force_insert": True})

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnly


class AuditHead(models.Model):
    """The end of the chain, a single row: whoever adds an entry locks it, so that entries follow one another."""

    number = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.number} {self.sha256}"
