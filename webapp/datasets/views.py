"""The datasets one has: the list, one of them, the file it came from, and its end."""

from typing import Any, NamedTuple

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.accounts.models import User
from webapp.audit.recording import about
from webapp.contract.rows import Row, RowProblem
from webapp.contract.tasks import TASK_WORDS
from webapp.datasets.answers import prefers_json, refusal_json
from webapp.datasets.downloads import original_response
from webapp.datasets.listing import listing
from webapp.datasets.models import Dataset, DatasetVersion
from webapp.datasets.rows_file import RowsDamaged, row_number, rows_page
from webapp.datasets.services import DatasetInUse, dataset_delete, dataset_from_sample

ROWS_A_PAGE = 25


class Tab(NamedTuple):
    name: str
    label: str
    num: int | None


@require_safe
def dataset_list(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    return render(request, "datasets/list.html", listing(request.user, request.GET.get("page")))


@require_safe
def detail(request: HttpRequest, dataset_id: str) -> HttpResponse:
    """The latest version, or the one asked for by number."""
    assert isinstance(request.user, User)
    dataset = get_object_or_404(Dataset.objects.visible_to(request.user).select_related("owner"), id=dataset_id)
    if prefers_json(request):
        return JsonResponse(_as_json(dataset))
    return _detail_page(request, dataset, request.GET.get("tab", "rows"))


@require_safe
async def download(request: HttpRequest, dataset_id: str) -> HttpResponseBase:
    """The file of a version as its owner sent it, byte for byte."""
    user = await request.auser()
    assert isinstance(user, User)
    dataset = await aget_object_or_404(Dataset.objects.visible_to(user), id=dataset_id)
    about(dataset)
    versions = [version async for version in dataset.versions.select_related("upload").order_by("-number")]
    return original_response(_chosen(versions, request.GET.get("version")).upload)


@require_POST
def delete(request: HttpRequest, dataset_id: str) -> HttpResponse:
    assert isinstance(request.user, User)
    dataset = get_object_or_404(Dataset.objects.visible_to(request.user), id=dataset_id)
    name = dataset.name
    try:
        dataset_delete(dataset)
    except DatasetInUse as error:
        problem = RowProblem(code="in_use", message=str(error), hint="Delete those jobs first, then the dataset.")
        if prefers_json(request):
            return refusal_json(problem, status=409)
        messages.error(request, f"{problem.message} {problem.hint}")
        return _detail_page(request, dataset, "used", status=409)
    if prefers_json(request):
        return JsonResponse({"deleted": str(dataset_id)})
    messages.success(request, f"{name} is deleted, with all its versions and the file it came from.")
    return redirect("dataset-list")


@require_POST
def from_sample(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    try:
        dataset = dataset_from_sample(request.user, request.POST.get("sample", ""))
    except KeyError as error:
        raise Http404 from error
    about(dataset)
    if prefers_json(request):
        return JsonResponse(_as_json(dataset), status=201)
    return redirect("dataset-detail", dataset.id)


def _detail_page(request: HttpRequest, dataset: Dataset, tab: str, *, status: int = 200) -> HttpResponse:
    versions = list(dataset.versions.select_related("upload").order_by("-number"))
    version = _chosen(versions, request.GET.get("version"))
    jobs = [job for one in versions for job in one.jobs.all()]
    tabs = [
        Tab("rows", "Rows", version.num_rows),
        Tab("problems", "Problems", version.num_skipped + _num_warnings(version)),
        Tab("statistics", "Statistics", None),
        Tab("versions", "Versions", len(versions)),
        Tab("used", "Used by", len(jobs)),
    ]
    tab = tab if tab in {one.name for one in tabs} else "rows"
    context = {
        "dataset": dataset,
        "version": version,
        "versions": versions,
        "jobs": sorted(jobs, key=lambda job: job.created_at, reverse=True),
        "tabs": tabs,
        "tab": tab,
        "task": TASK_WORDS[version.task],
        "query": f"version={version.number}&tab={tab}&",
        "is_damaged": version.is_damaged,
    }
    if tab == "rows":
        context |= _rows_context(request, version)
    return render(request, "datasets/detail.html", context, status=status)


def _rows_context(request: HttpRequest, version: DatasetVersion) -> dict[str, Any]:
    """The page that is asked for, or that on which a line of the file stands."""
    pages = Paginator(range(version.num_rows), ROWS_A_PAGE)
    line, page = request.GET.get("line", ""), pages.get_page(request.GET.get("page"))
    try:
        # Longer numbers are no lines, and would not fit into the file's column.
        if line.isdecimal() and len(line) < 16 and (at := row_number(version.rows_path, int(line))) is not None:
            page = pages.get_page(at // ROWS_A_PAGE + 1)
        rows: list[Row] = rows_page(version.rows_path, max(0, page.start_index() - 1), ROWS_A_PAGE)
    except RowsDamaged:
        return {"page": page, "rows": [], "is_damaged": True}
    return {"page": page, "rows": rows}


def _num_warnings(version: DatasetVersion) -> int:
    return sum(problem["line"] is None for problem in version.problems)


def _chosen(versions: list[DatasetVersion], number: str | None) -> DatasetVersion:
    if number is None:
        return versions[0]
    for version in versions:
        if str(version.number) == number:
            return version
    raise Http404


def _as_json(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": str(dataset.id),
        "name": dataset.name,
        "versions": [
            {
                "id": str(version.id),
                "number": version.number,
                "num_rows": version.num_rows,
                "num_skipped": version.num_skipped,
                "mapping": version.mapping,
                "task_guess": version.task_guess,
                "problems": version.problems,
                "stats": version.stats,
                "rows_sha256": version.rows_sha256,
            }
            for version in dataset.versions.order_by("-number")
        ],
    }
