"""The answer to whoever tries passwords or tokens too often: 429, with the time at which to try again."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from webapp.accounts.throttle import TooManyAttempts
from webapp.jobs.sent_fields import wants_json


class TooManyAttemptsMiddleware(MiddlewareMixin):
    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, TooManyAttempts):
            return None
        if wants_json(request):
            response: HttpResponse = JsonResponse({"code": "too_many_attempts", "message": str(exception)}, status=429)
        else:
            response = render(request, "429.html", {"seconds": exception.seconds}, status=429)
        response["Retry-After"] = str(exception.seconds)
        response["Cache-Control"] = "no-store"
        return response
