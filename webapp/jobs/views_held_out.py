"""The page of all held-out rows of a job, one by one, with what both models answered."""

import logging
import uuid
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.jobs.held_out_table import ORDERS, SHOWS, Asked, Place, places_of, rows_at, whole_number
from webapp.jobs.models import Job

log = logging.getLogger(__name__)

PAGE_SIZE = 25
PARTIAL_METRICS = ("chrf",)
"""Metrics that a row can meet in part. All others that decide know right and wrong alone."""

NOT_YET = ("Not measured yet", "The held-out rows are answered once training is over. Come back when the job is done.")
GONE = (
    "The rows are not kept",
    "Their file is not in the data folder: the job is of an older version, or its folder was tidied away. The verdict "
    "on the job's page stays. To see every row, train the same again.",
)
DAMAGED = (
    "The rows cannot be read",
    "Their file is damaged on the disk. The verdict on the job's page stays. Ask an admin to bring the data folder "
    "back from a backup, or train the same again.",
)


@never_cache
@require_safe
def rows(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    jobs = Job.objects.visible_to(request.user).select_related("dataset_version__dataset", "base_model")
    job = get_object_or_404(jobs, id=job_id)
    return render(request, "jobs/rows.html", {"job": job, "verdict": job.verdict, **_table(job, request.GET)})


def _table(job: Job, sent: QueryDict) -> dict[str, Any]:
    verdict = job.verdict
    if verdict is None:
        return {"trouble": NOT_YET}
    line = whole_number(sent.get("line", ""))
    asked = Asked() if line is not None else Asked.of(*(sent.get(name, "") for name in ("order", "show", "q", "draw")))
    try:
        page = _page(places_of(job.held_out_path, asked), sent.get("page"), line)
        shown = rows_at(job.held_out_path, list(page))
    except FileNotFoundError:
        return {"trouble": GONE}
    except (OSError, ValueError) as error:
        log.error("held-out rows of job %s: %s", job.id, error)
        return {"trouble": DAMAGED}
    version = getattr(job, "adapter_version", None)
    if version is not None and version.held_out_is_damaged:
        return {"trouble": DAMAGED}
    return {
        "asked": asked,
        "page": page,
        "rows": shown,
        "query": asked.query,
        "orders": [(word, label) for word, (label, _key) in ORDERS.items()],
        "shows": [(word, label) for word, (label, _fits) in SHOWS.items()],
        "is_right_or_wrong": verdict.primary.metric not in PARTIAL_METRICS,
    }


def _page(places: list[Place], number: str | None, line: int | None) -> "Page[Place]":
    """With a line the page it stands on; of a number that is none the first."""
    pages = Paginator(places, PAGE_SIZE)
    at = next((index for index, place in enumerate(places) if place.line == line), None)
    return pages.get_page(number if at is None else at // PAGE_SIZE + 1)
