"""Checks user name and password, for whatever page asks: the sign-in page and the admin's alike."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from webapp.accounts.models import User
from webapp.accounts.throttle import attempt_begin


class ThrottledBackend(ModelBackend):
    """Django's own, with a limit on wrong tries. Raises TooManyAttempts."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        attempt = attempt_begin(request, "sign-in", username)
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            attempt.failed()
        else:
            attempt.succeeded()
        return user
