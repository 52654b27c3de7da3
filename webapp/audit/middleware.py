"""Leaves one entry in the audit log for each request that changes something, or takes something away.

The last middleware: it sees who is signed in and runs the view itself, in one transaction with the entry unless the
view's services keep their own. If the entry cannot be written, the change is not made.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.messages import ERROR
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase

from webapp.audit.actions import action_of
from webapp.audit.models import Outcome
from webapp.audit.recording import Pending, current
from webapp.client_address import client_address

READS = ("GET", "HEAD", "OPTIONS", "TRACE")
THROTTLED_SECONDS = 60
"""Of the requests that are throttled, one entry for an action and address within this time: whoever floods the app must
not flood a log that is never emptied."""


class AuditMiddleware:
    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer(request)
        response: HttpResponseBase = self.get_response(request)
        _finish(request, response)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        if hasattr(request, "audit_pending"):
            await sync_to_async(_finish)(request, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], words: Any, named: Any
    ) -> HttpResponseBase | None:
        assert request.resolver_match
        action = action_of(request.resolver_match, request.method not in READS)
        if action is None:
            return None
        pending = Pending(action.name, keeps_own_transactions=action.keeps_own_transactions)
        pending.address = client_address(request)
        _set_actor(pending, request)
        _set_object(pending, request, named)
        request.audit_pending = pending  # type: ignore[attr-defined]
        current.set(pending)
        # Django itself runs the others, and gives their exceptions to the middleware that knows them.
        runs_here = not pending.keeps_own_transactions and not iscoroutinefunction(view)
        return _run(request, pending, view, words, named) if runs_here else None


def _run(request: HttpRequest, pending: Pending, view: Callable[..., Any], words: Any, named: Any) -> HttpResponseBase:
    with transaction.atomic():
        response: HttpResponseBase = view(request, *words, **named)
        _write(request, pending, response)
    return response


def _finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Write what nobody has written yet: refusals, failures, downloads."""
    current.set(None)
    pending: Pending | None = getattr(request, "audit_pending", None)
    # Without a database or disk there is neither a change nor an entry of it.
    if pending is None or response.status_code in (503, 507) or pending.is_written():
        return
    is_nothing_sent = request.method in READS and response.status_code not in (200, 206)
    if not is_nothing_sent:
        _write(request, pending, response)


def _write(request: HttpRequest, pending: Pending, response: HttpResponseBase) -> None:
    if not pending.actor_id:
        _set_actor(pending, request)
    if pending.changes_nothing or (not pending.actor and pending.action == "sign-out"):
        return
    if response.status_code == 429 and _is_repeat(pending):
        return
    outcome = _outcome(request, response)
    if outcome != Outcome.DONE:
        pending.details.append(_why(response))
    pending.write(outcome)


def _outcome(request: HttpRequest, response: HttpResponseBase) -> Outcome:
    if response.status_code >= 500:
        return Outcome.FAILED
    if response.status_code >= 400 or _is_form_again(request, response) or _was_told_an_error(request):
        return Outcome.REFUSED
    return Outcome.DONE


def _is_form_again(request: HttpRequest, response: HttpResponseBase) -> bool:
    """A page in answer to a POST: whoever succeeds is sent on, or gets a 201."""
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    return request.method not in READS and response.status_code == 200 and is_page


def _was_told_an_error(request: HttpRequest) -> bool:
    """Some pages send the person on and say there why nothing was done. Django has no public way to look at messages
    without using them up."""
    queued = getattr(getattr(request, "_messages", None), "_queued_messages", [])
    return any(message.level >= ERROR for message in queued)


def _why(response: HttpResponseBase) -> str:
    if response.status_code < 400:
        return "nothing was changed; the page said why"
    return "throttled" if response.status_code == 429 else f"answered with status {response.status_code}"


def _is_repeat(pending: Pending) -> bool:
    return not cache.add(f"audit-throttled:{pending.action}:{pending.address}", 1, THROTTLED_SECONDS)


def _set_actor(pending: Pending, request: HttpRequest) -> None:
    """Whoever is signed in; before that, the name that was typed."""
    user = request.user
    if user.is_authenticated:
        pending.actor_id, pending.actor = user.pk, user.get_username()
    elif pending.action == "sign-in":
        pending.actor = request.POST.get("username", "")


def _set_object(pending: Pending, request: HttpRequest, named: dict[str, Any]) -> None:
    """What the address itself says; views and services know more and say so with `about` and `settle`."""
    assert request.resolver_match
    if request.resolver_match.namespace == "admin":
        pending.object_kind = (request.resolver_match.url_name or "").rpartition("_")[0]
        pending.object_id = str(named.get("object_id", ""))
        if chosen := request.POST.get("action"):
            pending.details.append(f"{chosen}, {len(request.POST.getlist('_selected_action'))} chosen")
        return
    for name, value in named.items():
        if name.endswith("_id"):
            pending.object_kind, pending.object_id = name.removesuffix("_id"), str(value)
