"""From a file to a dataset: take it in, show what it holds, save it as the person maps its columns."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from webapp.accounts.models import User
from webapp.audit.recording import changes_nothing
from webapp.contract.rows import RowProblem
from webapp.datasets.answers import prefers_json, refusal_json
from webapp.datasets.forms import ChatForm, NameForm, PairsForm, roles_form, roles_form_for
from webapp.datasets.listing import listing
from webapp.datasets.mapping import Mapping, mapping_guess, pairs_guess
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.names import dataset_name_from
from webapp.datasets.preview import preview_of
from webapp.datasets.reading.start import Reading, reading_retry
from webapp.datasets.reading_answers import created_json, problem_of, unchecked_json, unread_json, wait_seconds
from webapp.datasets.services import (
    MappingRefused,
    NotChecked,
    dataset_create,
    dataset_version_create,
    upload_create,
    upload_delete,
    upload_drop,
    upload_read,
)
from webapp.datasets.upload_limit import is_too_large, too_large
from webapp.http.takes_file import takes_file
from webapp.limits.limits import LimitReached
from webapp.limits.uploads import check_upload, take_upload

_NO_FILE = RowProblem(code="no_file", message="No file was sent.", hint="Choose a CSV or JSONL file first.")

RolesForm = PairsForm | ChatForm


@takes_file(check_upload)
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """One file in the field `file`."""
    assert isinstance(request.user, User)
    file = request.FILES.get("file")
    if is_too_large(request):
        return _upload_refused(request, too_large(), status=413)
    if not isinstance(file, UploadedFile):
        return _upload_refused(request, _NO_FILE, status=422)
    try:
        take_upload(request.user)
        kept = upload_create(request.user, file, file.name or "file")
    except LimitReached as reached:
        problem = RowProblem(code=reached.code, message=str(reached), hint="")
        response = _upload_refused(request, problem, status=429)
        response["Retry-After"] = str(reached.retry_seconds)
        return response
    reading = upload_read(kept, wait=wait_seconds(request))
    if reading.facts and reading.facts.refusal:
        upload_drop(kept)
        return _upload_refused(request, reading.facts.refusal, status=422)
    if prefers_json(request):
        return created_json(kept, reading)
    return redirect("upload-detail", kept.id)


@require_http_methods(["GET", "POST"])
def upload_detail(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Choose the columns of a file; POST saves it as a dataset."""
    user = request.user
    assert isinstance(user, User)
    kept = get_object_or_404(Upload.objects.visible_to(user), id=upload_id)
    reading = _read(request, kept)
    if answer := _until_read(request, kept, reading, {}):
        return answer
    if request.method == "GET":
        name_form = NameForm(initial={"name": dataset_name_from(kept.file_name)})
        return _mapping_page(request, kept, {"name_form": name_form})
    name_form = NameForm(request.POST)
    roles = roles_form(kept.columns, request.POST)
    page = {"name_form": name_form, "roles": roles}
    if not (name_form.is_valid() & roles.is_valid()):
        return _form_refused(request, kept, page, [name_form, roles])

    def save(skip: bool) -> DatasetVersion:
        name = name_form.cleaned_data["name"]
        return dataset_create(user, kept, name=name, mapping=roles.cleaned_data, skip_bad_rows=skip)

    return _save(request, kept, page, save)


@require_http_methods(["GET", "POST"])
def remap(request: HttpRequest, dataset_id: str) -> HttpResponse:
    """Choose other columns of the file a dataset came from; POST saves the next version."""
    assert isinstance(request.user, User)
    dataset = get_object_or_404(Dataset.objects.visible_to(request.user), id=dataset_id)
    latest = dataset.latest
    page: dict[str, Any] = {"dataset": dataset, "present": latest.mapping}
    reading = _read(request, latest.upload)
    if answer := _until_read(request, latest.upload, reading, page):
        return answer
    if request.method == "GET":
        return _mapping_page(request, latest.upload, page)
    roles = page["roles"] = roles_form(latest.upload.columns, request.POST)
    if not roles.is_valid():
        return _form_refused(request, latest.upload, page, [roles])

    def save(skip: bool) -> DatasetVersion:
        return dataset_version_create(dataset, latest.upload, mapping=roles.cleaned_data, skip_bad_rows=skip)

    return _save(request, latest.upload, page, save)


@require_POST
def discard(request: HttpRequest, upload_id: str) -> HttpResponse:
    """Drop an upload that became no dataset."""
    assert isinstance(request.user, User)
    kept = get_object_or_404(Upload.objects.visible_to(request.user), id=upload_id)
    try:
        upload_delete(kept)
    except ProtectedError:
        messages.error(request, f"{kept.file_name} stays: a dataset was made from it. Delete the dataset instead.")
    else:
        messages.success(request, f"{kept.file_name} is removed.")
    return redirect("dataset-list")


def _read(request: HttpRequest, kept: Upload) -> Reading:
    if "again" in request.GET:
        reading_retry(kept)
    return upload_read(kept, wait=wait_seconds(request))


def _until_read(request: HttpRequest, kept: Upload, reading: Reading, page: dict[str, Any]) -> HttpResponse | None:
    """The answer while the file is read, or if it cannot be; None once its columns are known."""
    is_read = reading.facts is not None and not reading.facts.refusal
    if prefers_json(request):
        return unread_json(kept, reading) if request.method == "GET" or not is_read else None
    is_poll = request.htmx and request.htmx.target == "reading"  # type: ignore[attr-defined]
    if is_read:
        return HttpResponseClientRedirect(request.path) if is_poll else None
    return render(
        request, "datasets/_reading.html" if is_poll else "datasets/reading.html",
        {**page, "upload": kept, "reading": reading, "problem": problem_of(reading), "address": request.path},
    )  # fmt: skip


def _save(
    request: HttpRequest, kept: Upload, page: dict[str, Any], save: Callable[[bool], DatasetVersion]
) -> HttpResponse:
    mapping: Mapping = page["roles"].cleaned_data
    reading = upload_read(kept, mapping, wait=wait_seconds(request))
    try:
        version = save(request.POST.get("skip_bad_rows", "") in ("yes", "true", "on", "1"))
    except NotChecked:
        changes_nothing()
        if prefers_json(request):
            return unchecked_json(request, reading)
        return _mapping_page(request, kept, page)
    except MappingRefused as refused:
        if prefers_json(request):
            return refusal_json(_summary(refused), status=422, problems=refused.problems)
        return _mapping_page(request, kept, {**page, "refused": _summary(refused)}, status=422)
    url = reverse("dataset-detail", args=[version.dataset_id])
    if prefers_json(request):
        body = {"version_id": str(version.id), "dataset_id": str(version.dataset_id), "url": url}
        return JsonResponse({**body, "num_rows": version.num_rows, "num_skipped": version.num_skipped}, status=201)
    messages.success(request, f"{version} is saved with {version.num_rows:,} rows.")
    return redirect(url)


def _summary(refused: MappingRefused) -> RowProblem:
    if refused.check.too_few:
        return refused.check.too_few
    hint = "Correct them in the file and upload it again, or leave these rows out (skip_bad_rows=yes)."
    first = refused.problems[0]
    return RowProblem(code="bad_rows", message=str(refused), hint=hint, line=first.line, column=first.column)


def _upload_refused(request: HttpRequest, problem: RowProblem, *, status: int) -> HttpResponse:
    assert isinstance(request.user, User)
    if prefers_json(request):
        return refusal_json(problem, status=status)
    return render(request, "datasets/list.html", {**listing(request.user), "refused": problem}, status=status)


def _form_refused(request: HttpRequest, kept: Upload, page: dict[str, Any], forms: list[Any]) -> HttpResponse:
    if not prefers_json(request):
        return _mapping_page(request, kept, page, status=422)
    problems = [
        RowProblem(code="field", message=str(error), hint="Send a value the page would offer.", column=name)
        for form in forms
        for name, errors in form.errors.items()
        for error in errors
    ]
    return refusal_json(problems[0], status=422, problems=problems)


def _mapping_page(request: HttpRequest, kept: Upload, page: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """The whole page, or for htmx the part below the choice of columns."""
    roles: RolesForm = page.get("roles") or _chosen_roles(request, kept, page.get("present"))
    mapping: Mapping = roles.cleaned_data if roles.is_valid() else {}
    reading = upload_read(kept, mapping or None, wait=wait_seconds(request))
    context = {
        **page,
        "upload": kept,
        "roles": roles,
        "is_chat": isinstance(roles, ChatForm),
        "preview": preview_of(reading.facts, mapping) if reading.facts else None,
        "mapping": mapping,
        "address": f"{request.path}?{urlencode(mapping)}",
        "reading": reading,
        "check": reading.check,
        "problem": reading.failure,
    }
    name = "datasets/_check.html" if request.htmx else "datasets/mapping.html"  # type: ignore[attr-defined]
    return render(request, name, context, status=status)


def _chosen_roles(request: HttpRequest, kept: Upload, present: Mapping | None) -> RolesForm:
    """As asked for in the address, else as it is now, else guessed."""
    if "messages" in request.GET or "input" in request.GET:
        return roles_form(kept.columns, request.GET)
    kind = request.GET.get("as")
    if kind == "chat":
        return roles_form_for(kept.columns, {"messages": mapping_guess(kept.columns).get("messages", kept.columns[0])})
    if kind == "pairs" and len(kept.columns) > 1:
        return roles_form_for(kept.columns, pairs_guess(kept.columns))
    return roles_form_for(kept.columns, present or mapping_guess(kept.columns))
