"""What is answered while the database is away, 503 with a time to come back, or the disk is full, 507: on pages that
need no database.

It is where Django leads every exception nobody caught, whether a view raised it or the session on the way there.
"""

import logging
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views import defaults

from webapp import storage
from webapp.jobs.persist import DATABASE_AWAY
from webapp.jobs.sent_fields import wants_json

RETRY_AFTER_SECONDS = 5
_FULL = "The disk of this installation is full, so nothing was saved. Ask an admin to free some space, then try again."
_MESSAGE = "The database cannot be reached just now. Jobs that run go on. Try again in a few seconds."


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: Django calls it while the exception is at hand."""
    error = sys.exc_info()[1]
    if storage.is_full(error):
        return _answer(request, 507, "storage_full", _FULL)
    if not isinstance(error, DATABASE_AWAY):
        return defaults.server_error(request)
    response = _answer(request, 503, "unavailable", _MESSAGE)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _answer(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if wants_json(request):
        response: HttpResponse = JsonResponse({"code": code, "message": message}, status=status)
    else:
        again = request.get_full_path() if request.method == "GET" else ""
        response = HttpResponse(loader.get_template(f"{status}.html").render({"again": again}), status=status)
    response["Cache-Control"] = "no-store"
    return response


class OneLineAnOutage(logging.Filter):
    """Every page asked for during an outage fails for one reason, which needs one line, not a traceback each."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, DATABASE_AWAY):
            said = " ".join(str(error).split())
            record.msg, record.args = f"{record.getMessage()} (the database is away: {said})", ()
            record.exc_info = record.exc_text = None
        return True
