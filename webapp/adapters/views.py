"""The adapters one has, and taking them home."""

import asyncio
from typing import NamedTuple

from asgiref.sync import sync_to_async
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import aget_object_or_404, get_object_or_404, render
from django.views.decorators.http import require_safe

from webapp.accounts.models import User
from webapp.adapters.card import card_of, snippet_of
from webapp.adapters.downloads import zip_response
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.adapters.wholeness import zip_is_whole
from webapp.audit.recording import about
from webapp.contract.capabilities import ABILITIES_OF_RESULTS, abilities_of
from webapp.contract.job_dir import Manifest
from webapp.contract.methods import METHODS
from webapp.contract.rows import RowProblem
from webapp.datasets.answers import prefers_json, refusal_json
from webapp.jobs.lineage import continues_words
from webapp.jobs.models import Job

PAGE_SIZE = 50
MOST_CONTINUED = 5
"""Newest jobs that continue a version, as its page lists them."""

DAMAGED = "The adapter is damaged on the disk: its files are no longer what was recorded when training ended."
DAMAGED_REMEDY = "Ask an admin to bring the data folder back from a backup, or train it again from its job."


class Line(NamedTuple):
    """One adapter as the list shows it."""

    adapter: Adapter
    version: AdapterVersion
    method: str


@require_safe
def adapter_list(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    newest_first = AdapterVersion.objects.select_related("job__base_model").order_by("-number")
    adapters = (
        Adapter.objects.visible_to(request.user)
        .select_related("owner")
        .prefetch_related(Prefetch("versions", queryset=newest_first))
    )
    page = Paginator(adapters, PAGE_SIZE).get_page(request.GET.get("page"))
    lines = [Line(adapter, version, _method(version)) for adapter in page for version in adapter.versions.all()[:1]]
    return render(request, "adapters/list.html", {"page": page, "lines": lines})


@require_safe
def detail(request: HttpRequest, adapter_id: str) -> HttpResponse:
    """The latest version, or the one asked for by number."""
    assert isinstance(request.user, User)
    adapter = get_object_or_404(Adapter.objects.visible_to(request.user), id=adapter_id)
    versions = list(
        adapter.versions.select_related(
            "job__base_model", "job__dataset_version__dataset", "job__started_from__adapter"
        ).order_by("-number")
    )
    version = _chosen(versions, request.GET.get("version"))
    card, manifest = card_of(version), Manifest.model_validate(version.manifest)
    continued_by = Job.objects.visible_to(request.user).filter(started_from=version)
    return render(
        request,
        "adapters/detail.html",
        {
            "adapter": adapter,
            "version": version,
            "versions": versions,
            "method": _method(version),
            "abilities": abilities_of(
                version.manifest["method"],
                ABILITIES_OF_RESULTS,
                family=version.job.base_model.shape.family,
                task=version.job.recipe.task,
            ),
            "continues": continues_words(version.job),
            "continued_by": continued_by[:MOST_CONTINUED],
            "verdict": version.job.verdict,
            "manifest": manifest,
            "card": card,
            "snippet": snippet_of(manifest, card),
        },
    )


@require_safe
async def download(request: HttpRequest, version_id: str) -> HttpResponseBase:
    """The zip, streamed; whoever may not see the adapter learns nothing of it."""
    user = await request.auser()
    assert isinstance(user, User)
    mine = AdapterVersion.objects.select_related("adapter").filter(adapter__in=Adapter.objects.visible_to(user))
    version = await aget_object_or_404(mine, id=version_id)
    about(version, name=version.zip_name)
    try:
        is_whole = await asyncio.to_thread(zip_is_whole, version)
    except FileNotFoundError:
        raise Http404 from None
    if not is_whole:
        await AdapterVersion.objects.filter(id=version.id).aupdate(is_damaged=True)
        return await sync_to_async(_damaged)(request, version)
    return zip_response(
        request, version.zip_path, size=version.zip_bytes, sha256=version.zip_sha256, name=version.zip_name
    )


def _damaged(request: HttpRequest, version: AdapterVersion) -> HttpResponse:
    if prefers_json(request):
        return refusal_json(RowProblem(code="adapter_damaged", message=DAMAGED, hint=DAMAGED_REMEDY), status=500)
    return render(request, "adapters/damaged.html", {"version": version}, status=500)


def _chosen(versions: list[AdapterVersion], number: str | None) -> AdapterVersion:
    if number is None:
        return versions[0]
    for version in versions:
        if str(version.number) == number:
            return version
    raise Http404


def _method(version: AdapterVersion) -> str:
    return METHODS[version.manifest["method"]].label
