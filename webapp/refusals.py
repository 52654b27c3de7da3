"""The pages of refusals: 400, 403, 404.

Django renders them in a thread beside the request's own, where nobody closes the database's connection: it would stay
open for ever, and broken for ever once the database was restarted.
"""

from collections.abc import Callable

from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse
from django.views import defaults


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _rendered(defaults.bad_request, request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _rendered(defaults.permission_denied, request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _rendered(defaults.page_not_found, request, exception)


def _rendered(page: Callable[..., HttpResponse], request: HttpRequest, exception: Exception) -> HttpResponse:
    try:
        return page(request, exception)
    finally:
        # Inside a transaction the connection is somebody's who still needs it, as in tests.
        if not connection.in_atomic_block:
            close_old_connections()
