"""People, and the one-time links by which the first of them come in."""

import hashlib

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    """A person. `is_staff` makes an admin, who sees everyone's work."""


class SignInLinkQuerySet(models.QuerySet["SignInLink"]):
    def usable(self, token: str) -> "SignInLinkQuerySet":
        """The link of this token, if it is neither used nor old and its person's account is not disabled."""
        # A subquery, not a join: an update through a join would let two callers use one link on PostgreSQL.
        may_enter = models.Q(user=None) | models.Q(user__in=User.objects.filter(is_active=True))
        return self.filter(may_enter, token_sha256=token_sha256(token), used_at=None, expires_at__gt=timezone.now())


class SignInLink(models.Model):
    """Signs one person in, once. Without a user it makes the first admin. Only the token's hash is kept."""

    token_sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    objects = SignInLinkQuerySet.as_manager()

    def __str__(self) -> str:
        return f"link for {self.user or 'the first admin'}"


def token_sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
