"""The page “New job”: looking at a draft changes nothing; a submission makes a job or says what is wrong."""

import uuid
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods

from webapp.accounts.models import User
from webapp.audit.recording import changes_nothing
from webapp.jobs.accept import CannotTrain, job_create
from webapp.jobs.forms import CHOSEN_FOR, SUGGESTED_NAME, JobForm
from webapp.jobs.idempotency import KEY_FIELD, BadKey, KeyReused, key_of, request_sha256
from webapp.jobs.models import Job
from webapp.jobs.same_again import fields_from_job
from webapp.jobs.sent_fields import BadBody, sent_fields, wants_json
from webapp.jobs.wizard import wizard_context
from webapp.limits.limits import LimitReached

OTHER_ROWS = "You changed the dataset, so choices made for the other one had to follow. Look at them, then start."

_REFUSALS = {BadKey: ("bad_key", 400), KeyReused: ("idempotency_mismatch", 422), CannotTrain: ("cannot_train", 422)}
"""What is raised -> code and status of the answer."""


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    if request.method != "POST":
        return _draft(request, request.user, _asked(request, request.user))
    try:
        sent = sent_fields(request)
    except BadBody as error:
        return _refused(request, JobForm(request.user, {}, is_draft=True), str(error), code="bad_body", status=400)
    if "update" in request.POST:
        changes_nothing()
        return _draft(request, request.user, sent)
    if sent.get(CHOSEN_FOR) not in (None, "", sent.get("dataset")):
        # Another dataset was chosen and Start pressed before the page could follow.
        draft = JobForm(request.user, sent, is_draft=True)
        if draft.replaced:
            return _refused(request, draft, OTHER_ROWS, code="other_rows")
    form = JobForm(request.user, sent, is_draft=False)
    if not form.is_valid:
        return _refused(request, form, _summary(form), code="invalid")
    assert form.version and form.base_model
    try:
        job = job_create(
            request.user,
            name=form.name,
            dataset_version=form.version,
            base_model=form.base_model,
            recipe=form.recipe(),
            wishes=form.wishes,
            parent=form.parent,
            start=form.start,
            idempotency_key=key_of(request, sent),
            request_sha256=request_sha256(request, sent),
        )
    except (BadKey, KeyReused, CannotTrain) as error:
        code, status = _REFUSALS[type(error)]
        return _refused(request, form, str(error), code=code, status=status)
    except LimitReached as error:
        response = _refused(request, form, str(error), code=error.code, status=429)
        response["Retry-After"] = str(error.retry_seconds)
        return response
    url = reverse("job-detail", args=[job.id])
    if wants_json(request):
        return JsonResponse({"id": str(job.id), "url": url}, status=201, headers={"Location": url})
    return redirect(url)


def _asked(request: HttpRequest, user: User) -> dict[str, object]:
    """The fields of an address; with `from` those of an earlier job, each of which the address may override."""
    asked: dict[str, object] = dict(request.GET.items())
    earlier_id = str(asked.pop("from", ""))
    if earlier_id:
        earlier = get_object_or_404(Job.objects.visible_to(user), id=_uuid_or_404(earlier_id))
        asked = {**fields_from_job(earlier, user), **asked}
    if asked.get("dataset") and not JobForm(user, asked, is_draft=True).version:
        raise Http404
    return asked


def _draft(request: HttpRequest, user: User, sent: dict[str, object]) -> HttpResponse:
    """The page as far as it is filled in; for htmx only the form, at an address one can come back to."""
    form = JobForm(user, sent, is_draft=True)
    context = wizard_context(form)
    if not request.headers.get("HX-Request"):
        return render(request, "jobs/new.html", context)
    response = render(request, "jobs/_wizard.html", context)
    of_the_page = (SUGGESTED_NAME, CHOSEN_FOR, KEY_FIELD)
    filled = {name: value for name, value in form.sent.items() if value != "" and name not in of_the_page}
    response["HX-Replace-Url"] = f"{reverse('job-new')}?{urlencode(filled)}"
    patch_vary_headers(response, ["HX-Request"])
    return response


def _refused(request: HttpRequest, form: JobForm, message: str, *, code: str, status: int = 422) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"code": code, "message": message, "fields": form.errors}, status=status)
    return render(request, "jobs/new.html", {**wizard_context(form), "refusal": message}, status=status)


def _summary(form: JobForm) -> str:
    """One sentence that stands alone, for those who read no fields."""
    messages = [message for of_field in form.errors.values() for message in of_field]
    if len(messages) == 1:
        return messages[0]
    return f"{len(messages)} things need another look: {' '.join(messages)}"


def _uuid_or_404(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None
