"""The printable report of a job: one sheet for somebody who does not know the field. Here, beside the adapter, since it
ends with how that is used."""

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.adapters.card import card_of, snippet_of
from webapp.adapters.models import AdapterVersion
from webapp.audit.recording import about
from webapp.contract.job_dir import Manifest
from webapp.contract.methods import METHODS
from webapp.contract.tasks import TASK_WORDS
from webapp.contract.version import graftwork_version
from webapp.jobs.interval import interval_picture
from webapp.jobs.models import Job
from webapp.jobs.report import report_of
from webapp.jobs.yardstick import yardstick_of

LONGEST_SNIPPET = 1500
"""A longer one, as of very many labels, would not leave room for the rest of the sheet."""


@never_cache
@require_safe
def report(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """404 for a job without a verdict: there is nothing to report."""
    assert isinstance(request.user, User)
    jobs = Job.objects.visible_to(request.user).select_related("base_model", "dataset_version__dataset", "owner")
    job = get_object_or_404(jobs, id=job_id)
    about(job)
    verdict = job.verdict
    if verdict is None:
        raise Http404
    return render(
        request,
        "jobs/report.html",
        {
            "job": job,
            "verdict": verdict,
            "report": report_of(verdict),
            "picture": interval_picture(verdict.primary),
            "method": METHODS[job.recipe.method],
            "task": TASK_WORDS[job.recipe.task][0],
            "yardstick": yardstick_of(job, verdict),
            "graftwork": graftwork_version(),
            **_use(job),
        },
    )


def _use(job: Job) -> dict[str, Any]:
    """How to use what was trained, and its fingerprints; nothing where no adapter was kept."""
    version = AdapterVersion.objects.filter(job=job).select_related("adapter").first()
    if version is None:
        return {}
    manifest = Manifest.model_validate(version.manifest)
    snippet = snippet_of(manifest, card_of(version))
    return {
        "version": version,
        "snippet": snippet if len(snippet) <= LONGEST_SNIPPET else "",
        "manifest": manifest,
    }
