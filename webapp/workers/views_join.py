"""The one address a machine talks to: a worker shows its token and is told where everything is."""

import time

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from webapp.client_address import client_address
from webapp.workers.joining import is_loopback, join_answer
from webapp.workers.rules import Refused
from webapp.workers.services import worker_join

WRONG_A_MINUTE = 10


@csrf_exempt
@login_not_required
@never_cache
@require_POST
def join(request: HttpRequest) -> JsonResponse:
    """The token comes as `Authorization: Bearer …`, since addresses and forms end up in logs."""
    address = client_address(request)
    counter = f"wrong-join-tokens:{address}:{int(time.time() // 60)}"
    if cache.get(counter, 0) >= WRONG_A_MINUTE:
        return _no("Too many wrong tokens from this address. Try again in a minute.", 429)
    try:
        worker = worker_join(_token(request))
    except Refused as error:
        cache.add(counter, 0, 120)
        cache.incr(counter)
        return _no(str(error), 401)
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
