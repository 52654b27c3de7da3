"""Addresses people want to be told at, and the outbox: what is still to be told, and what became of it."""

import uuid
from datetime import datetime, timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from webapp.accounts.models import User
from webapp.sealing import unseal

MAX_TRIES = 12
LONGEST_WAIT = timedelta(hours=1)
TEST_TOPIC = "webhook.test"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def of(self, owner: User) -> "WebhookQuerySet":
        """One's own only: an admin has no business with other people's receivers."""
        return self.filter(owner=owner)


class Webhook(models.Model):
    """A receiver of one person's notices. The secret signs them; a copy of the database does not hold it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    sealed_secret = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    is_on = models.BooleanField(default=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    """The HTTP status of the latest try; None if there was no answer."""
    last_error = models.CharField(max_length=500, blank=True)
    last_at = models.DateTimeField(null=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.url

    @property
    def secret(self) -> str:
        """Raises CannotOpen."""
        return unseal(self.sealed_secret)


class NoticeQuerySet(models.QuerySet["Notice"]):
    def waiting(self) -> "NoticeQuerySet":
        return self.filter(delivered_at=None, given_up_at=None)

    def due(self, now: datetime) -> "NoticeQuerySet":
        """Those to send now, the longest due first. What belongs to a switched-off webhook or to a disabled account
        waits."""
        is_wanted = Q(webhook__is_on=True, webhook__owner__is_active=True)
        return self.waiting().filter(is_wanted, next_try_at__lte=now).order_by("next_try_at")


class Notice(models.Model):
    """One thing to tell one receiver: the row of the outbox, and the delivery id by which a receiver knows repeats."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="notices")
    topic = models.CharField(max_length=50)
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(db_index=True)
    next_try_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    """Tries begun: one that died in the middle counts."""
    delivered_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["next_try_at"], name="notice_waiting", condition=Q(delivered_at=None, given_up_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} to {self.webhook_id}"

    @property
    def is_last_try(self) -> bool:
        """Nobody waits hours for a test."""
        return self.tries >= MAX_TRIES or self.topic == TEST_TOPIC

    @property
    def wait(self) -> timedelta:
        """Until the next try: 10 s, 20 s, 40 s … one hour."""
        return min(timedelta(seconds=10 * 2 ** max(self.tries - 1, 0)), LONGEST_WAIT)
