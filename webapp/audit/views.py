"""The audit log for admins: what happened, whether the log is whole, and the log as a file."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webapp.audit.chain import glance, verify
from webapp.audit.export import FORMATS
from webapp.audit.models import AuditEntry, AuditQuerySet
from webapp.audit.search import SearchForm

PAGE_SIZE = 50


def _admins_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request)

    return guarded


@_admins_only
@never_cache
@require_safe
def entries(request: HttpRequest) -> HttpResponse:
    """The newest first, as far as they are asked for. With `check` in the address every entry is checked."""
    form = SearchForm(request.GET)
    page = Paginator(form.entries(), PAGE_SIZE).get_page(request.GET.get("page"))
    asked = request.GET.copy()
    for name in ("page", "check"):
        asked.pop(name, None)
    context: dict[str, Any] = {
        "form": form,
        "page": page,
        "query": f"{asked.urlencode()}&" if asked else "",
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "has_any": AuditEntry.objects.exists(),
        "chain": verify() if "check" in request.GET else glance(),
        "is_checked": "check" in request.GET,
    }
    return render(request, "audit/list.html", context, status=400 if form.errors else 200)


@never_cache
@require_safe
async def export(request: HttpRequest) -> StreamingHttpResponse:
    """Those entries that the page shows with the same words in its address, as `?format=csv` or `jsonl`."""
    user = await request.auser()
    if not user.is_staff:
        raise PermissionDenied
    word = request.GET.get("format", "csv")
    if word not in FORMATS:
        raise Http404
    writer, content_type = FORMATS[word]
    found = await sync_to_async(_asked)(request)
    response = StreamingHttpResponse(writer(found), content_type=content_type)
    name = f"audit-{timezone.now():%Y-%m-%d}.{word}"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _asked(request: HttpRequest) -> AuditQuerySet:
    """Raises Http404 for words that find nothing because they are wrong."""
    form = SearchForm(request.GET)
    if not form.is_valid():
        raise Http404
    return form.entries()
