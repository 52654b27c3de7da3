"""Watching a job: a stream of server-sent events, and the same by asking now and then."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import aget_object_or_404, get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.accounts.services import user_of_session
from webapp.jobs.models import Job
from webapp.jobs.snapshot import Snapshot, snapshot

LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""A comment at least this often, so that a vanished reader is noticed and no proxy closes a quiet stream."""
STREAM_SECONDS = 600.0
"""Then the stream ends and the browser opens the next, with what it has seen: nothing is held for ever."""

_SEQ = re.compile(r"[0-9]{1,9}", re.ASCII)


@never_cache
@require_safe
def live(request: HttpRequest, job_id: uuid.UUID) -> JsonResponse:
    """How the job stands, and its events after `?after=`."""
    assert isinstance(request.user, User)
    job = get_object_or_404(Job.objects.visible_to(request.user), id=job_id)
    after = _seq(request.GET.get("after", "0"))
    if after is None:
        return _wrong_seq()
    return JsonResponse(snapshot(job, after).data)


@require_safe
async def stream(request: HttpRequest, job_id: uuid.UUID) -> HttpResponseBase:
    """Server-sent events until the job is over or its reader may no longer see it. A browser that comes back says
    `Last-Event-ID`."""
    user = await request.auser()
    assert isinstance(user, User)
    await aget_object_or_404(Job.objects.visible_to(user), id=job_id)
    after = _seq(request.headers.get("Last-Event-ID") or request.GET.get("after", "0"))
    if after is None:
        return _wrong_seq()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(
        _told(job_id, after, request.session.session_key), content_type="text/event-stream", headers=headers
    )


async def _told(job_id: uuid.UUID, after: int, session_key: str | None) -> AsyncIterator[str]:
    """One message for each change. Between two looks neither a connection nor a transaction is held."""
    began = told_at = time.monotonic()
    before: dict[str, Any] = {}
    yield "retry: 2000\n\n"
    while time.monotonic() - began < STREAM_SECONDS:
        try:
            now = await sync_to_async(_look)(job_id, after, session_key)
        except Job.DoesNotExist:
            return
        if now.data != before:
            before = {**now.data, "events": [], "has_more": False}
            after, told_at = now.seq, time.monotonic()
            yield f"id: {now.seq}\ndata: {json.dumps(now.data)}\n\n"
        elif time.monotonic() - told_at >= HEARTBEAT_SECONDS:
            told_at = time.monotonic()
            yield ": still here\n\n"
        if now.is_over:
            return
        if not now.data["has_more"]:
            await asyncio.sleep(LOOK_SECONDS)


def _look(job_id: uuid.UUID, after: int, session_key: str | None) -> Snapshot:
    """Raises Job.DoesNotExist also where the reader was signed out, disabled, or may no longer see the job."""
    try:
        user = user_of_session(session_key)
        if user is None:
            raise Job.DoesNotExist
        return snapshot(Job.objects.visible_to(user).get(id=job_id), after)
    finally:
        close_old_connections()


def _seq(text: str) -> int | None:
    return int(text) if _SEQ.fullmatch(text) else None


def _wrong_seq() -> JsonResponse:
    message = "The number of the last event known must be a whole number from 0 up, as in ?after=17."
    return JsonResponse({"code": "invalid", "message": message}, status=400)
