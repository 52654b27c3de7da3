"""The models one can start from."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from webapp.accounts.models import User
from webapp.base_models.catalogue import may_remove, model_card
from webapp.base_models.forms import FolderForm
from webapp.base_models.hub import fetches_seen_by, why_not
from webapp.base_models.models import BaseModel
from webapp.base_models.services import InUse, base_model_register, base_model_remove
from webapp.contract.base_models import STARTERS


@require_safe
def base_model_list(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    fetching = fetches_seen_by(request.user)
    num_moving = sum(fetch.is_moving for fetch in fetching)
    if request.htmx and request.GET.get("moving") != str(num_moving):  # type: ignore[attr-defined]
        # Asked by the page itself, which shows fetches that have ended meanwhile: they are models now.
        return HttpResponseClientRefresh()
    cards = [model_card(model, request.user) for model in BaseModel.objects.visible_to(request.user)]
    return render(
        request,
        "base_models/list.html",
        {
            "starters": [card for card in cards if card.model.id in STARTERS],
            "registered": [card for card in cards if card.model.folder],
            "fetching": fetching,
            "num_moving": num_moving,
            "why_not": why_not(request.user),
            "fetched": [card for card in cards if card.model.hub_id],
        },
    )


@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Admins only: the path of any folder this server can read is asked for."""
    _refuse_non_admin(request)
    form = FolderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        model = base_model_register(**form.cleaned_data, report=form.report)
        messages.success(request, f"{model.title} is registered. Jobs can start from it now.")
        return redirect("base-model-list")
    status = 400 if form.is_bound else 200
    return render(request, "base_models/register.html", {"form": form}, status=status)


@require_POST
def remove(request: HttpRequest, model_id: str) -> HttpResponse:
    assert isinstance(request.user, User)
    model = get_object_or_404(BaseModel.objects.visible_to(request.user).exclude(id__in=STARTERS), id=model_id)
    if not may_remove(model, request.user):
        raise PermissionDenied
    try:
        base_model_remove(model)
    except InUse:
        messages.error(request, f"{model.title} stays: jobs were trained from it. Delete those jobs first.")
    else:
        files = "Its files were not touched." if model.folder else "Its files are gone as well."
        messages.success(request, f"{model.title} is no longer offered. {files}")
    return redirect("base-model-list")


def _refuse_non_admin(request: HttpRequest) -> None:
    assert isinstance(request.user, User)
    if not request.user.is_staff:
        raise PermissionDenied
