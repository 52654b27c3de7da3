"""What one does with a job: each verb asks its service, and tells a browser or a script what came of it."""

import uuid
from collections.abc import Callable
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from webapp.accounts.models import User
from webapp.audit.recording import about
from webapp.jobs.accept import CannotTrain, job_retry
from webapp.jobs.checkpoints import NoSuchCheckpoint
from webapp.jobs.idempotency import BadKey, KeyReused, key_of, request_sha256
from webapp.jobs.models import Asked, Job, Priority, State
from webapp.jobs.sent_fields import BadBody, sent_fields, wants_json
from webapp.jobs.services import (
    AlreadyOver,
    NoOtherWorker,
    job_cancel,
    job_delete,
    job_keep,
    job_move_away,
    job_move_in_queue,
    job_pause,
    job_priority_set,
    job_resume,
)

_HAPPENED = {
    State.QUEUED: "the job waits in the queue",
    State.PAUSED: "the job is paused",
    State.STARTING: "a worker has taken the job",
    State.RUNNING: "the job is running",
    State.FINALIZING: "its adapter is being saved",
    State.SUCCEEDED: "the job has succeeded",
    State.FAILED: "the job has failed",
    State.CANCELLED: "the job was cancelled",
}
_MOVED = {"up": "One place up among", "down": "One place down among", "front": "The first of"}


@require_POST
def cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    asked = "The worker is asked to stop; it takes a few seconds."
    return _do(request, job, "cancel", lambda: job_cancel(job), {State.CANCELLED: "The job is cancelled."}, asked)


@require_POST
def pause(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    asked = "The worker is asked to save a checkpoint and pause; it takes a few seconds."
    return _do(request, job, "pause", lambda: job_pause(job), {State.PAUSED: "The job is paused."}, asked)


@require_POST
def resume(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    checkpoint = _word(request, "checkpoint")
    return _do(
        request,
        job,
        "resume",
        lambda: job_resume(job, checkpoint=checkpoint),
        {},
        "The job is back in the queue and goes on as soon as a worker is free.",
    )


@require_POST
def keep(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    asked = "Training ends after the present step; what it has learnt is measured and kept."
    return _do(request, job, "stop and keep", lambda: job_keep(job), {}, asked)


@require_POST
def move_away(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    if not _user(request).is_staff:
        return _forbidden(request, job, "Only an admin can move a job to another worker.")
    asked = "The worker is asked to save a checkpoint; then the job goes to another one."
    return _do(request, job, "move it", lambda: job_move_away(job), {}, asked)


@require_POST
def priority(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    word = _word(request, "priority")
    if word.upper() not in Priority.names:
        return _answer(request, job, "Give priority as low, normal or high.", status=400)
    wanted = Priority[word.upper()]
    if wanted == Priority.HIGH and not _user(request).is_staff:
        return _forbidden(request, job, "Only an admin can give a job high priority.")
    done = f"Its priority is {wanted.label.lower()} now."
    return _do(request, job, "change its priority", lambda: job_priority_set(job, wanted), {}, done, status=200)


@require_POST
def move(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    where = _word(request, "where")
    if where not in _MOVED:
        return _answer(request, job, "Say where: up, down or front.", status=400)
    whose = "your" if job.owner_id == _user(request).id else "its owner's"
    done = f"“{job.name}”: {_MOVED[where].lower()} {whose} waiting jobs."
    return _do(request, job, "move it in the queue", lambda: job_move_in_queue(job, where), {}, done, status=200)


@require_POST
def retry(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """A new job of the same owner. `from_start` begins anew, `checkpoint` names where to go on from."""
    job = _find(request, job_id)
    from_start, checkpoint = bool(_word(request, "from_start")), _word(request, "checkpoint")
    if not job.is_over or (job.state == State.SUCCEEDED and not checkpoint):
        return _answer(request, job, _refusal(job, "retry"), status=409)
    try:
        sent = _fields(request)
        again = job_retry(
            job,
            job.owner,
            from_start=from_start,
            checkpoint=checkpoint,
            idempotency_key=key_of(request, sent),
            request_sha256=request_sha256(request, sent),
        )
    except BadKey as error:
        return _answer(request, job, str(error), status=400)
    except KeyReused as error:
        return _answer(request, job, str(error), status=422, code="idempotency_mismatch")
    except (NoSuchCheckpoint, CannotTrain) as error:
        return _answer(request, job, str(error), status=409)
    url = reverse("job-detail", args=[again.id])
    if wants_json(request):
        return JsonResponse({"id": str(again.id), "url": url}, status=201, headers={"Location": url})
    messages.success(request, "A new job was made of the earlier one. This is its page.")
    return redirect(url)


@require_POST
def delete(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = _find(request, job_id)
    if not job.is_over:
        return _answer(request, job, "This job is not over. Cancel it first, then delete it.", status=409)
    try:
        job_delete(job)
    except ProtectedError:
        return _answer(request, job, "This job stays: an adapter came from it and shows its verdict.", status=409)
    if wants_json(request):
        return HttpResponse(status=204)
    messages.success(request, f"“{job.name}” and its files are deleted.")
    return redirect("job-list")


def _do(
    request: HttpRequest,
    job: Job,
    verb: str,
    act: Callable[[], None],
    done: dict[State, str],
    asked: str,
    *,
    status: int = 202,
) -> HttpResponse:
    """`done`: what to say where the job is in that state at once; else `asked`."""
    try:
        act()
    except AlreadyOver:
        return _answer(request, job, _refusal(job, verb), status=409)
    except NoOtherWorker:
        message = "There is no other worker that could take it just now. It stays where it is."
        return _answer(request, job, message, status=409)
    except NoSuchCheckpoint as error:
        return _answer(request, job, str(error), status=409)
    return _answer(request, job, done.get(State(job.state), asked), status=status)


def _refusal(job: Job, verb: str) -> str:
    """What happened instead. The job's row is read anew: somebody was faster."""
    job = get_object_or_404(Job, id=job.id)
    if job.asked == Asked.CANCEL:
        return f"Too late to {verb}: the job is being cancelled."
    is_late = job.is_over or job.state == State.FINALIZING
    return f"{'Too late' if is_late else 'It is not the time'} to {verb}: {_HAPPENED[State(job.state)]}."


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _find(request: HttpRequest, job_id: uuid.UUID) -> Job:
    job = get_object_or_404(Job.objects.visible_to(_user(request)), id=job_id)
    about(job)
    return job


def _fields(request: HttpRequest) -> dict[str, object]:
    try:
        return sent_fields(request)
    except BadBody:
        return {}


def _word(request: HttpRequest, field: str) -> str:
    sent = _fields(request).get(field, "")
    return sent.strip() if isinstance(sent, str) else ""


def _forbidden(request: HttpRequest, job: Job, message: str) -> HttpResponse:
    if not wants_json(request):
        raise PermissionDenied
    return _answer(request, job, message, status=403)


def _answer(request: HttpRequest, job: Job, message: str, *, status: int, code: str = "") -> HttpResponse:
    """What came of a request: for a browser as a message on the page it came from."""
    if wants_json(request):
        code = code or ("accepted" if status < 400 else "refused")
        return JsonResponse({"code": code, "message": message, "id": str(job.id)}, status=status)
    messages.add_message(request, messages.SUCCESS if status < 400 else messages.ERROR, message)
    if "list" in request.POST:
        state = request.POST["list"]
        return redirect(reverse("job-list") + (f"?{urlencode({'state': state})}" if state else ""))
    return redirect("job-detail", job.id)
