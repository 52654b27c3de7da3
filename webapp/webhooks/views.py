"""One's own webhooks, and what became of the latest notices. Everybody else's are not found, also by an admin."""

import uuid
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from webapp.accounts.models import User
from webapp.audit.recording import about, note
from webapp.webhooks.forms import WebhookForm
from webapp.webhooks.models import Notice, Webhook
from webapp.webhooks.services import (
    MAX_WEBHOOKS,
    TooMany,
    notice_retry,
    webhook_add,
    webhook_test,
)

_NEW = "new_webhook"
NOTICES_SHOWN = 30


@never_cache
@require_http_methods(["GET", "POST"])
def webhook_list(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            webhook = webhook_add(_person(request), form.cleaned_data["url"])
        except TooMany:
            form.add_error(None, f"You have {MAX_WEBHOOKS} webhooks, the most one may have. Delete one first.")
        else:
            request.session[_NEW] = str(webhook.id)
            about(webhook, name=_host(webhook))
            return redirect("webhook-list")
    return render(request, "webhooks/list.html", _listed(request, form), status=400 if form.errors else 200)


@require_POST
def switch(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    """The button says which way, so that two clicks do not undo each other."""
    webhook = _webhook(request, webhook_id)
    webhook.is_on = request.POST.get("is_on") == "yes"
    note("switched on" if webhook.is_on else "switched off")
    webhook.save(update_fields=["is_on"])
    return redirect("webhook-list")


@require_POST
def delete(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    webhook = _webhook(request, webhook_id)
    webhook.delete()
    messages.success(request, f"The webhook to {webhook.url} is deleted, with its deliveries.")
    return redirect("webhook-list")


@require_POST
def test(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    notice = webhook_test(_webhook(request, webhook_id))
    if notice.delivered_at:
        messages.success(request, "The test was delivered.")
    else:
        messages.error(request, f"The test was not delivered. {notice.last_error}")
    return redirect("webhook-list")


@require_POST
def retry(request: HttpRequest, notice_id: uuid.UUID) -> HttpResponse:
    notice = get_object_or_404(Notice, id=notice_id, webhook__owner=_person(request))
    if notice_retry(notice):
        messages.success(request, "It will be sent again within seconds.")
    return redirect("webhook-list")


def _listed(request: HttpRequest, form: WebhookForm) -> dict[str, object]:
    """A new webhook is shown with its secret, once."""
    webhooks = list(Webhook.objects.of(_person(request)))
    new_id = request.session.pop(_NEW, None)
    notices = Notice.objects.filter(webhook__in=webhooks).select_related("webhook")[:NOTICES_SHOWN]
    return {
        "form": form,
        "webhooks": webhooks,
        "new": next((webhook for webhook in webhooks if str(webhook.id) == new_id), None),
        "notices": notices,
        "max_webhooks": MAX_WEBHOOKS,
        "is_full": len(webhooks) >= MAX_WEBHOOKS,
    }


def _webhook(request: HttpRequest, webhook_id: uuid.UUID) -> Webhook:
    webhook = get_object_or_404(Webhook.objects.of(_person(request)), id=webhook_id)
    about(webhook, name=_host(webhook))
    return webhook


def _host(webhook: Webhook) -> str:
    """What may be told of a webhook: the rest of its address is a secret of many a receiver."""
    return urlsplit(webhook.url).hostname or ""


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
