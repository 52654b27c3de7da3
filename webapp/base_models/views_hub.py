"""Models of the Hub: name one, look at it, fetch it, stop that, go on with it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.models import User
from webapp.audit.recording import about
from webapp.base_models import hub
from webapp.base_models.forms import HubForm
from webapp.base_models.hub import NotAllowed
from webapp.contract.hub import HubLook
from webapp.contract.model_shape import FAMILY_WORDS, TASKS_OF_FAMILY
from webapp.contract.tasks import TASK_WORDS
from webapp.errands.models import Errand, State
from webapp.errands.services import TooManyErrands, errand_stop, errands_are_served
from webapp.hub_tokens.models import HubToken


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = HubForm(request.POST) if request.method == "POST" else HubForm(initial=request.GET.dict())
    if form.is_bound and form.is_valid():
        try:
            asked = hub.look_ask(request.user, **form.cleaned_data)
            about(asked, name=asked.payload["hub_id"])
            return redirect("base-model-look", asked.id)
        except (NotAllowed, TooManyErrands) as error:
            form.add_error(None, str(error))
    context = {
        "form": form,
        "why_not": hub.why_not(request.user),
        "has_token": HubToken.objects.filter(user=request.user).exists(),
    }
    return render(request, "base_models/add.html", context, status=400 if form.is_bound else 200)


@require_safe
def look(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    errand = get_object_or_404(hub.looks_of(request.user), id=errand_id)
    context = {"asked": errand, "hub_id": errand.payload["hub_id"], "has_worker": errands_are_served()}
    if errand.state == State.DONE:
        found = HubLook.model_validate(errand.result)
        family = found.shape.family if found.shape else None
        context |= {
            "look": found,
            "here": hub.fetched_already(found, request.user),
            "family_words": FAMILY_WORDS[family] if family else "",
            "task_words": [TASK_WORDS[task][0] for task in TASKS_OF_FAMILY[family]] if family else [],
        }
    return render(request, "base_models/look.html", context)


@require_POST
def look_again(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    assert isinstance(request.user, User)
    asked = get_object_or_404(hub.looks_of(request.user), id=errand_id).payload
    try:
        return redirect("base-model-look", hub.look_ask(request.user, asked["hub_id"], asked["revision"]).id)
    except (NotAllowed, TooManyErrands) as error:
        messages.error(request, str(error))
        return redirect("base-model-look", errand_id)


@require_POST
def fetch(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    """What was looked at, by the commit that was seen."""
    assert isinstance(request.user, User)
    errand = get_object_or_404(hub.looks_of(request.user).filter(state=State.DONE), id=errand_id)
    found = HubLook.model_validate(errand.result)
    about(errand, name=found.hub_id)
    if found.problem or hub.fetched_already(found, request.user):
        return redirect("base-model-look", errand.id)
    return _begin(request, request.user, found)


@require_POST
def fetch_stop(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    errand_stop(_steered(request, errand_id))
    return redirect("base-model-list")


@require_POST
def fetch_retry(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    """By whose it was, so with their token and for them to see, also where an admin presses the button."""
    errand = _steered(request, errand_id)
    if errand.is_moving:
        return redirect("base-model-list")
    return _begin(request, errand.asked_by, HubLook.model_validate(errand.payload["look"]))


@require_POST
def fetch_forget(request: HttpRequest, errand_id: UUID) -> HttpResponse:
    errand = _steered(request, errand_id)
    if not errand.is_moving:
        hub.fetch_forget(errand)
    return redirect("base-model-list")


def _steered(request: HttpRequest, errand_id: UUID) -> Errand:
    assert isinstance(request.user, User)
    errand = get_object_or_404(hub.fetches_steered_by(request.user), id=errand_id)
    about(errand, name=errand.payload["look"]["hub_id"])
    return errand


def _begin(request: HttpRequest, user: User, found: HubLook) -> HttpResponse:
    try:
        hub.fetch_ask(user, found)
    except (NotAllowed, TooManyErrands) as error:
        messages.error(request, str(error))
    return redirect("base-model-list")
