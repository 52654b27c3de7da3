"""People, the one-time links by which the first of them come in, and how often a secret may be tried."""

import hashlib
from typing import Any, ClassVar

from django.contrib.auth import password_validation
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils import timezone


class UserManager(DjangoUserManager["User"]):
    """Checks passwords where no form does, as in `createsuperuser --noinput`."""

    def _create_user_object(self, username: str, email: str | None, password: str | None, **fields: Any) -> "User":
        """Raises ValidationError."""
        user: User = super()._create_user_object(username, email, password, **fields)  # type: ignore[misc]
        if password is not None:
            password_validation.validate_password(password, user)
        return user


class User(AbstractUser):
    """A person. `is_staff` makes an admin, who sees everyone's work."""

    objects: ClassVar[UserManager] = UserManager()

    account_changes: str | None = None
    """What the save that is going on changes; see `account_changes.py`."""


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


class Allowance(models.Model):
    """How far the tries of one kind from one place are used up; see `throttle`. No row: not at all."""

    key = models.CharField(max_length=64, primary_key=True)
    used_until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key[:8]} until {self.used_until:%c}"


def token_sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
