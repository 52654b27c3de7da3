"""The jobs one has: the list, a job's page, its log, and ending it."""

import uuid
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import User
from webapp.contract.methods import METHODS, knobs_of
from webapp.contract.verdict import Verdict
from webapp.jobs.figures import LiveFigures
from webapp.jobs.interval import interval_picture
from webapp.jobs.log_tail import MOST_BYTES, SHOWN_BYTES, log_tail
from webapp.jobs.models import ACTIVE, Job, State
from webapp.jobs.remedy import remedy_of
from webapp.jobs.sent_fields import wants_json
from webapp.jobs.services import AlreadyOver, job_cancel, job_delete
from webapp.jobs.snapshot import sentence_now
from webapp.jobs.timeline import timeline

PAGE_SIZE = 50
FIRST_SAMPLES = 6
"""Shown at once; the others are folded."""

FILTERS: dict[str, tuple[str, tuple[State, ...]]] = {
    "active": ("Running", ACTIVE),
    "queued": ("Waiting", (State.QUEUED,)),
    "succeeded": ("Succeeded", (State.SUCCEEDED,)),
    "failed": ("Failed", (State.FAILED,)),
    "cancelled": ("Cancelled", (State.CANCELLED,)),
}
"""Word in the address -> label, states."""


class Line(NamedTuple):
    """One job as the list shows it."""

    job: Job
    live: LiveFigures
    method: str
    verdict: Verdict | None


@never_cache
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    chosen = request.GET.get("state", "")
    mine = Job.objects.visible_to(request.user)
    jobs = mine.filter(state__in=FILTERS[chosen][1]) if chosen in FILTERS else mine
    page = Paginator(jobs.select_related("base_model", "dataset_version__dataset", "owner"), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    return render(
        request,
        "jobs/list.html",
        {
            "page": page,
            "lines": [Line(job, LiveFigures.model_validate(job.live), _method(job), job.verdict) for job in page],
            "filters": [(word, label) for word, (label, _states) in FILTERS.items()],
            "chosen": chosen if chosen in FILTERS else "",
            "query": f"state={chosen}&" if chosen in FILTERS else "",
            "has_any": mine.exists(),
            "is_moving": any(not job.is_over for job in page),
        },
    )


@never_cache
@require_safe
def detail(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    jobs = Job.objects.visible_to(request.user).select_related("base_model", "dataset_version__dataset", "owner")
    job = get_object_or_404(jobs, id=job_id)
    live = LiveFigures.model_validate(job.live)
    if wants_json(request):
        response: HttpResponse = JsonResponse(_as_json(request, job, live))
    else:
        response = render(request, "jobs/detail.html", _context(job, live))
    patch_vary_headers(response, ["Accept"])
    return response


@never_cache
@require_safe
def log(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Plain text; of a very long log the end, with `?tail` what the job's page shows."""
    assert isinstance(request.user, User)
    job = get_object_or_404(Job.objects.visible_to(request.user), id=job_id)
    text, is_whole = log_tail(job, SHOWN_BYTES if "tail" in request.GET else MOST_BYTES)
    opening = "" if is_whole else "[The beginning is left out: the log is too long to show.]\n"
    return HttpResponse(opening + text, content_type="text/plain; charset=utf-8")


@require_POST
def cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    job = get_object_or_404(Job.objects.visible_to(request.user), id=job_id)
    try:
        job_cancel(job)
    except AlreadyOver:
        return _answer(request, job, "Too late to cancel: the job has ended or is being saved.", status=409)
    is_done = job.state == State.CANCELLED
    message = "The job is cancelled." if is_done else "The worker is asked to stop; it takes a few seconds."
    return _answer(request, job, message, status=202)


@require_POST
def delete(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    job = get_object_or_404(Job.objects.visible_to(request.user), id=job_id)
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


def _answer(request: HttpRequest, job: Job, message: str, *, status: int) -> HttpResponse:
    """What came of a request: for a browser as a message on the job's page."""
    if wants_json(request):
        code = "accepted" if status < 400 else "refused"
        return JsonResponse({"code": code, "message": message, "id": str(job.id)}, status=status)
    messages.add_message(request, messages.SUCCESS if status < 400 else messages.ERROR, message)
    return redirect("job-detail", job.id)


def _as_json(request: HttpRequest, job: Job, live: LiveFigures) -> dict[str, Any]:
    return {
        "id": str(job.id),
        "name": job.name,
        "url": request.path,
        "state": job.state,
        "is_over": job.is_over,
        "live": live.model_dump(),
        "error": job.error,
        "verdict": job.verdict_json,
        "recipe": job.recipe_json,
        "split": job.split,
    }


def _context(job: Job, live: LiveFigures) -> dict[str, Any]:
    events = list(job.events.exclude(kind="stepped"))
    last = job.events.order_by("-seq").first()
    verdict = job.verdict
    return {
        "job": job,
        "live": live,
        "sentence": sentence_now(job, live),
        "method": _method(job),
        "knobs": [(knob, job.recipe.knobs[knob.name]) for knob in knobs_of(job.recipe.method)],
        "verdict": verdict,
        "picture": interval_picture(verdict.primary) if verdict else None,
        "is_right_or_wrong": bool(verdict and all(sample.tuned_score in (0, 1) for sample in verdict.samples)),
        "first_samples": verdict.samples[:FIRST_SAMPLES] if verdict else (),
        "more_samples": verdict.samples[FIRST_SAMPLES:] if verdict else (),
        "remedy": remedy_of(job) if job.state == State.FAILED else None,
        "timeline": timeline(events),
        "last_seq": last.seq if last else 0,
        "log": log_tail(job, SHOWN_BYTES),
    }


def _method(job: Job) -> str:
    return METHODS[job.recipe_json["method"]].label
