"""What a person's account can undergo."""

import secrets
from datetime import timedelta

from django.contrib.auth import get_user
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from webapp.accounts.models import SignInLink, User, token_sha256
from webapp.audit.recording import acts_as, record, settle

LINK_LIFETIME = timedelta(days=1)


class LinkIsSpent(Exception):
    """The link was used, is too old, or never was."""


def sign_in_link_create(user: User | None) -> str:
    """A new link's token: 256 random bits, told once. Without a user it makes the first admin."""
    token = secrets.token_urlsafe(32)
    link = SignInLink(token_sha256=token_sha256(token), user=user, expires_at=timezone.now() + LINK_LIFETIME)
    with transaction.atomic():
        link.save()
        record("one-time-link.make", link)
    return token


@transaction.atomic
def sign_in_link_use(token: str, *, username: str = "", password: str = "") -> User:
    """The person the link stands for; of two callers only one gets in. Raises LinkIsSpent."""
    link = SignInLink.objects.usable(token).select_related("user").first()
    if link is None or SignInLink.objects.usable(token).update(used_at=timezone.now()) != 1:
        raise LinkIsSpent
    person = link.user or User.objects.create(
        username=username, password=make_password(password), is_staff=True, is_superuser=True
    )
    acts_as(person.pk, person.get_username())
    settle(link)
    return person


def user_of_session(session_key: str | None) -> User | None:
    """The person a session belongs to now, read from the database again.

    None after sign-out, a password change elsewhere, or when the account was disabled: what goes on after its request
    was answered, as a stream does, asks this now and then.
    """
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return user if isinstance(user, User) else None
