"""The one address a machine talks to: a worker shows its token and is told where everything is."""

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pydantic import ValidationError

from webapp import storage
from webapp.accounts.throttle import TooManyAttempts, attempt_begin
from webapp.audit.recording import printable
from webapp.client_address import client_address
from webapp.workers.join_tokens import TokenRefused, join_token_use
from webapp.workers.joining import JoinAnswer, JoinRequest, is_loopback, join_answer
from webapp.workers.rules import Refused


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
        sent = JoinRequest.model_validate_json(request.body)
    except ValidationError:
        return _no("A worker of this version joins in another way. Install the app's version on its machine.", 400)
    try:
        answer = _let_in(_token(request), sent, address)
    except TokenRefused as error:
        attempt.failed()
        return _no(str(error), 401)
    except Refused as error:
        attempt.succeeded()
        return _no(str(error), 409)
    attempt.succeeded()
    return JsonResponse(answer.model_dump())


@transaction.atomic
def _let_in(token: str, sent: JoinRequest, address: str) -> JoinAnswer:
    """A set-up that cannot work spends no token. Raises TokenRefused, or Refused for the set-up."""
    worker = join_token_use(token, sent.key, host=f"{printable(sent.host, 200)} ({address or 'a local socket'})")
    if sent.installation != storage.installation_id():
        raise Refused(
            "The data folder on the worker's machine belongs to another installation. A worker shares it with the app: "
            "mount the app's folder there and name it with GRAFTWORK_HOME=/its/path."
        )
    return join_answer(worker, is_same_machine=is_loopback(address))


def _token(request: HttpRequest) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _no(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)
