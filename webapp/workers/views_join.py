"""The one address a machine talks to: a worker shows its token and is told where everything is."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from webapp.accounts.throttle import TooManyAttempts, attempt_begin
from webapp.client_address import client_address
from webapp.workers.joining import is_loopback, join_answer
from webapp.workers.rules import Refused
from webapp.workers.services import worker_join


@csrf_exempt
@login_not_required
@never_cache
@require_POST
def join(request: HttpRequest) -> JsonResponse:
    """The token comes as `Authorization: Bearer …`, since addresses and forms end up in logs."""
    address = client_address(request)
    try:
        attempt = attempt_begin(request, "join token")
    except TooManyAttempts as error:
        response = _no(f"Too many wrong tokens from this address. Try again in {error.seconds} s.", 429)
        response["Retry-After"] = str(error.seconds)
        return response
    try:
        worker = worker_join(_token(request))
    except Refused as error:
        attempt.failed()
        return _no(str(error), 401)
    attempt.succeeded()
    try:
        answer = join_answer(worker, is_same_machine=is_loopback(address))
    except Refused as error:
        return _no(str(error), 409)
    return JsonResponse(answer.model_dump())


def _token(request: HttpRequest) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _no(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)
