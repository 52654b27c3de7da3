"""Who sends a request and may they: asked before a body is read that is larger than what is taken from anyone."""

from io import BytesIO

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import ResolverMatch

from webapp.client_address import DropUntrustedHeaders
from webapp.http import refusals
from webapp.http.asgi_types import Scope
from webapp.limits.limits import LimitReached


def _nothing_behind(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


# The very middleware that the request will pass, so that both come to the same answer.
_untrusted = DropUntrustedHeaders(_nothing_behind)
_session = SessionMiddleware(_nothing_behind)
_csrf = CsrfViewMiddleware(_nothing_behind)
_authentication = AuthenticationMiddleware(_nothing_behind)


def sender_refusal(scope: Scope, match: ResolverMatch | None, claimed_bytes: int) -> refusals.Refusal | None:
    """Why nothing more of the body is read, None if it is. Queries the database, so run it in a thread."""
    # Without the headers of the body: there is none yet, and nothing here may try to read it.
    headers = [(name, value) for name, value in scope["headers"] if not name.startswith(b"content-")]
    request = ASGIRequest({**scope, "headers": headers}, BytesIO())
    try:
        return _refusal(request, match, claimed_bytes)
    except (Error, SuspiciousOperation) as error:
        # Who cannot be asked about is not let in.
        return refusals.failed(error)
    finally:
        # This thread is not the request's own: nobody else would close its connection.
        connection.close()


def _refusal(request: HttpRequest, match: ResolverMatch | None, claimed_bytes: int) -> refusals.Refusal | None:
    for middleware in (_untrusted, _session, _csrf, _authentication):
        middleware.process_request(request)
    if not request.user.is_authenticated:
        return refusals.signed_out
    # A form's token is inside its body. A script's header can be judged now.
    if "X-CSRFToken" in request.headers and match and _csrf.process_view(request, match.func, (), {}):
        return refusals.wrong_csrf_token
    check = getattr(match.func, "check_before_body", None) if match else None
    try:
        if check:
            check(request.user, claimed_bytes)
    except LimitReached as error:
        return refusals.limit_reached(error)
    return None
