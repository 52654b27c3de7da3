"""429: to whoever tries passwords or tokens too often, and where a person's limit is reached. Both say when to try
again."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from webapp.accounts.throttle import TooManyAttempts
from webapp.jobs.sent_fields import wants_json
from webapp.limits.limits import LimitReached


class TooManyRequestsMiddleware(MiddlewareMixin):
    """Answers where no view has a better place for the message than a page of its own."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, TooManyAttempts):
            context: dict[str, object] = {"seconds": exception.seconds}
            return _answer(request, "too_many_attempts", str(exception), exception.seconds, "429.html", context)
        return limit_answer(request, exception) if isinstance(exception, LimitReached) else None


def limit_answer(request: HttpRequest, error: LimitReached) -> HttpResponse:
    message = str(error)
    return _answer(request, error.code, message, error.retry_seconds, "limit_reached.html", {"message": message})


def _answer(
    request: HttpRequest, code: str, message: str, seconds: int, template: str, context: dict[str, object]
) -> HttpResponse:
    if wants_json(request):
        # The hint is what the upload form shows below the message.
        response: HttpResponse = JsonResponse({"code": code, "message": message, "hint": ""}, status=429)
    else:
        response = render(request, template, context, status=429)
    response["Retry-After"] = str(seconds)
    response["Cache-Control"] = "no-store"
    return response
