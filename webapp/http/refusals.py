"""Answers to requests whose body is not read to its end: 302, 403, 408, 413, 429, 503 and 507.

The ASGI door (`body_limit`) decides, but Django answers: the request goes on with an empty body and the refusal in its
scope, so that the answer passes the same middleware, and carries the same security headers, as any other page.
"""

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.views.csrf import csrf_failure

from webapp.contract.rows import RowProblem
from webapp.jobs.sent_fields import wants_json
from webapp.limits.limits import LimitReached
from webapp.too_many_requests import limit_answer

Refusal = Callable[[HttpRequest], HttpResponse]

SCOPE_KEY = "graftwork.refusal"


class RefusalMiddleware(MiddlewareMixin):
    """Last of all middleware, so that the answer knows who asks and passes everyone else's hands."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        refusal: Refusal | None = getattr(request, "scope", {}).get(SCOPE_KEY)
        return refusal(request) if refusal else None


def signed_out(request: HttpRequest) -> HttpResponse:
    """As LoginRequiredMiddleware answers."""
    return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)


def wrong_csrf_token(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, csrf_failure(request, reason="The CSRF token in the header is not the session's."))


def too_slow(request: HttpRequest) -> HttpResponse:
    problem = RowProblem(
        code="too_slow",
        message="The request took too long to arrive, so it was not read to its end.",
        hint="Try again over a better connection, or send a smaller file.",
    )
    return _answer(request, problem, status=408)


def too_large(limit_bytes: int) -> Refusal:
    """Of a request that may carry no file: a form, or a page that is open to everyone."""
    problem = RowProblem(
        code="too_large",
        message=f"The request is larger than {limit_bytes / 1e6:.3g} MB, the most this address takes.",
        hint="Files are uploaded on the page Datasets.",
    )
    return lambda request: _answer(request, problem, status=413)


def file_too_large(problem: RowProblem) -> Refusal:
    return lambda request: _answer(request, problem, status=413)


def limit_reached(error: LimitReached) -> Refusal:
    return lambda request: limit_answer(request, error)


def failed(error: Exception) -> Refusal:
    """Something broke on the way: Django answers as it does to any exception, see `webapp.unavailable`."""

    def answer(request: HttpRequest) -> HttpResponse:
        raise error

    return answer


def _answer(request: HttpRequest, problem: RowProblem, *, status: int) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({**problem.model_dump(), "problems": []}, status=status)
    return render(request, "body_refused.html", {"problem": problem, "status": status}, status=status)
