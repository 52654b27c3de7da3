"""The admin's people: what each uses of what they may, and other limits for one of them or for everyone."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from webapp.accounts.models import User
from webapp.audit.recording import about, note
from webapp.limits.limits import limits_set
from webapp.limits.models import InstallationLimits, LimitValues, PersonLimits
from webapp.usage.bars import bars_of, bars_of_many
from webapp.usage.forms import FIELDS, form_for
from webapp.workers.views import admins_only

PAGE_SIZE = 50


@admins_only
@never_cache
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    page = Paginator(User.objects.order_by("username"), PAGE_SIZE).get_page(request.GET.get("page"))
    bars = bars_of_many([person.id for person in page])
    own = set(PersonLimits.objects.filter(user__in=list(page)).values_list("user_id", flat=True))
    lines = [(person, bars[person.id], person.id in own) for person in page]
    return render(request, "usage/people.html", {"lines": lines, "page": page})


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def limits_of_person(request: HttpRequest, user_id: int) -> HttpResponse:
    person = get_object_or_404(User, id=user_id)
    row = PersonLimits.objects.filter(user=person).first() or PersonLimits(user=person)
    return _edit(request, row, person)


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def limits_of_everyone(request: HttpRequest) -> HttpResponse:
    return _edit(request, InstallationLimits.objects.first() or InstallationLimits(), None)


def _edit(request: HttpRequest, row: LimitValues, person: User | None) -> HttpResponse:
    form = form_for(row, request.POST or None)
    if request.method == "POST" and form.is_valid():
        limits_set(row)
        about(person or row)
        note(", ".join(f"{name} {'inherited' if (value := getattr(row, name)) is None else value}" for name in FIELDS))
        messages.success(request, f"The limits of {person or 'everyone'} are saved. They hold from now on.")
        return redirect("people")
    context = {"form": form, "person": person, "bars": bars_of(person.id) if person else []}
    return render(request, "usage/limits.html", context, status=400 if form.errors else 200)
