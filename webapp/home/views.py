"""The first page: what to do first, then what goes on."""

from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.adapters.models import Adapter
from webapp.contract.base_models import STARTERS
from webapp.contract.methods import METHODS
from webapp.datasets.models import Dataset
from webapp.home.storage_used import storage_used
from webapp.jobs.figures import LiveFigures
from webapp.jobs.models import OVER, Job, JobQuerySet, State
from webapp.jobs.queue import queue_now
from webapp.samples.catalogue import SAMPLES

NUM_FINISHED = 5
NUM_WAITING = 10


class RunningJob(NamedTuple):
    """A job with its figures of this moment."""

    job: Job
    live: LiveFigures


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    user = request.user
    return render(
        request,
        "home.html",
        {
            **_jobs_now(user),
            "has_dataset": Dataset.objects.visible_to(user).exists(),
            "has_job": Job.objects.visible_to(user).exists(),
            "has_adapter": Adapter.objects.visible_to(user).exists(),
            "samples": SAMPLES.values(),
            "num_starters": len(STARTERS),
            "num_methods": len(METHODS),
            "storage": storage_used(Path(settings.DATA_DIR)),
        },
    )


@require_safe
def now(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes by itself."""
    assert isinstance(request.user, User)
    return render(request, "home/_now.html", _jobs_now(request.user))


def _jobs_now(user: User) -> dict[str, object]:
    jobs = Job.objects.visible_to(user).select_related("base_model", "dataset_version__dataset", "owner")
    paused = jobs.filter(state=State.PAUSED)
    waiting = jobs.waiting()
    return {
        "running": [RunningJob(job, LiveFigures.model_validate(job.live)) for job in jobs.active()],
        "waiting": _in_turn(waiting),
        "num_waiting": waiting.count(),
        "paused": paused[:NUM_WAITING],
        "num_paused": paused.count(),
        "finished": jobs.filter(state__in=OVER).order_by("-finished_at")[:NUM_FINISHED],
    }


def _in_turn(waiting: JobQuerySet) -> list[Job]:
    """Those that stand first in the queue."""
    mine = set(waiting.values_list("id", flat=True))
    first = [one.id for one in queue_now() if one.id in mine][:NUM_WAITING]
    jobs = waiting.in_bulk(first)
    return [jobs[job_id] for job_id in first if job_id in jobs]
