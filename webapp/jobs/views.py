"""The jobs one has: the list, a job's page, and its log."""

import uuid
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.contract.methods import METHODS, knobs_of
from webapp.contract.verdict import Verdict
from webapp.jobs.calibration import foretold_of
from webapp.jobs.failure_card import failure_card
from webapp.jobs.figures import LiveFigures
from webapp.jobs.lineage import continues_words
from webapp.jobs.log_tail import MOST_BYTES, SHOWN_BYTES, log_tail
from webapp.jobs.models import ACTIVE, Job, State
from webapp.jobs.past import attempt_lines, checkpoint_lines
from webapp.jobs.queue_panel import Place, places_of, queue_panel
from webapp.jobs.sent_fields import wants_json
from webapp.jobs.snapshot import in_queue_now, sentence_now
from webapp.jobs.timeline import timeline
from webapp.jobs.verbs import verbs_of
from webapp.jobs.verdict_panel import verdict_panel
from webapp.jobs.wish_fields import wish_words, wishes_of

PAGE_SIZE = 50
MOST_LINES = 500
"""Of a timeline: a job of many days saves thousands of checkpoints."""

FILTERS: dict[str, tuple[str, tuple[State, ...]]] = {
    "active": ("Running", ACTIVE),
    "queued": ("Waiting", (State.QUEUED,)),
    "paused": ("Paused", (State.PAUSED,)),
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
    place: Place | None


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
            "lines": _lines(list(page), request.user),
            "filters": [(word, label) for word, (label, _states) in FILTERS.items()],
            "chosen": chosen if chosen in FILTERS else "",
            "query": f"state={chosen}&" if chosen in FILTERS else "",
            "has_any": mine.exists(),
            "is_moving": any(not job.is_over and job.state != State.PAUSED for job in page),
        },
    )


def _lines(jobs: list[Job], reader: User) -> list[Line]:
    places = places_of(jobs, reader.pk)
    return [
        Line(job, LiveFigures.model_validate(job.live), _method(job), job.verdict, places.get(job.id)) for job in jobs
    ]


@never_cache
@require_safe
def detail(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    jobs = Job.objects.visible_to(request.user).select_related(
        "base_model", "dataset_version__dataset", "owner", "worker", "parent", "started_from__adapter"
    )
    job = get_object_or_404(jobs, id=job_id)
    live = LiveFigures.model_validate(job.live)
    if wants_json(request):
        response: HttpResponse = JsonResponse(_as_json(request, job, live))
    else:
        response = render(request, "jobs/detail.html", _context(job, live, request.user))
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


def _as_json(request: HttpRequest, job: Job, live: LiveFigures) -> dict[str, Any]:
    return {
        "id": str(job.id),
        "name": job.name,
        "url": request.path,
        "state": job.state,
        "asked": job.asked,
        "parent": str(job.parent_id) if job.parent_id else None,
        "is_over": job.is_over,
        "live": live.model_dump(),
        "error": job.error,
        "verdict": job.verdict_json,
        "recipe": job.recipe_json,
        "split": job.split,
    }


def _context(job: Job, live: LiveFigures, user: User) -> dict[str, Any]:
    in_queue = in_queue_now(job)
    return {
        "job": job,
        "live": live,
        "in_queue": in_queue,
        "sentence": sentence_now(job, live, in_queue),
        "method": _method(job),
        "knobs": [(knob, job.recipe.value(knob)) for knob in knobs_of(job.recipe.method)],
        "continues": continues_words(job),
        "wish_words": wish_words(wishes_of(job)),
        "estimate": foretold_of(job),
        "verbs": verbs_of(job, is_staff=user.is_staff),
        "queue": queue_panel(job, is_staff=user.is_staff),
        "failure": failure_card(job) if job.state == State.FAILED else None,
        "checkpoints": checkpoint_lines(job),
        "attempts": attempt_lines(job),
        **_history(job),
        **verdict_panel(job),
    }


def _history(job: Job) -> dict[str, Any]:
    last = job.events.order_by("-seq").first()
    newest = list(job.events.exclude(kind="stepped").order_by("-seq")[: MOST_LINES + 1])
    return {
        "timeline": timeline(newest[:MOST_LINES][::-1]),
        "most_lines": MOST_LINES if len(newest) > MOST_LINES else None,
        "last_seq": last.seq if last else 0,
        "log": log_tail(job, SHOWN_BYTES),
    }


def _method(job: Job) -> str:
    return METHODS[job.recipe_json["method"]].label
