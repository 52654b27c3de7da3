"""The admin's workers: all of them, one of them, and adding one. Every verb only writes to the database."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.models import User
from webapp.audit.recording import about, note
from webapp.clock import database_now
from webapp.workers.board import Card, cards, num_waiting, waiting_note
from webapp.workers.commands import start_commands
from webapp.workers.forms import TokenForm, WorkerAddForm, WorkerForm
from webapp.workers.join_tokens import join_token_make, join_token_revoke
from webapp.workers.models import Intent, JoinToken, TokenState, Worker
from webapp.workers.rules import Refused
from webapp.workers.services import (
    worker_add,
    worker_drain,
    worker_pause,
    worker_resume,
    worker_retire,
    worker_set,
)

PAGE_SIZE = 20
TOKENS_SHOWN = 5


class TokenLine(NamedTuple):
    """A join token as its worker's page lists it."""

    token: JoinToken
    state: TokenState


VERBS: dict[str, tuple[Callable[[uuid.UUID], bool], str]] = {
    "pause": (worker_pause, "{} is paused: it takes no new job, what it runs goes on."),
    "drain": (worker_drain, "{} is drained: what it runs saves a checkpoint and goes to another worker."),
    "resume": (worker_resume, "{} takes jobs again."),
    "retire": (worker_retire, "{} is retired: it hands over what it runs and ends."),
}
"""Word in the address -> service, what is told afterwards."""


def admins_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *words: Any, **named: Any) -> HttpResponse:
        assert isinstance(request.user, User)
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *words, **named)

    return guarded


@admins_only
@never_cache
@require_safe
def worker_list(request: HttpRequest) -> HttpResponse:
    shows_retired = "retired" in request.GET
    retired = Worker.objects.filter(intent=Intent.RETIRED)
    board = cards(retired if shows_retired else Worker.objects.in_service(), database_now())
    note = "" if shows_retired else waiting_note(board, num_waiting())
    context = {"cards": board, "note": note, "shows_retired": shows_retired, "num_retired": retired.count()}
    return render(request, "workers/list.html", context)


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def worker_detail(request: HttpRequest, worker_id: uuid.UUID) -> HttpResponse:
    """The page, and its one form: labels and slots."""
    card = _card_or_404(worker_id)
    about(card.worker)
    form = WorkerForm(request.POST or None, worker=card.worker)
    if request.method == "POST" and form.is_valid():
        try:
            note(f"slots {form.cleaned_data['slots']}, labels {', '.join(form.cleaned_data['labels']) or 'none'}")
            worker_set(worker_id, labels=form.cleaned_data["labels"], slots=form.cleaned_data["slots"])
        except Refused as error:
            form.add_error(error.field or None, str(error))
        else:
            messages.success(request, "Saved. The worker follows with its next heartbeat.")
            return redirect("worker-detail", worker_id)
    attempts = card.worker.attempts.select_related("job").order_by("-started_at", "-id")
    page = Paginator(attempts, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"card": card, "form": form, "page": page, "tokens": _tokens(card.worker), "token_form": TokenForm()}
    return render(request, "workers/detail.html", context, status=400 if form.errors else 200)


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """On success the token is in the answer itself: it is told once and kept nowhere."""
    form = WorkerAddForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            worker, token = worker_add(**form.cleaned_data)
        except Refused as error:
            form.add_error(error.field or None, str(error))
        else:
            return _show_token(request, worker, token)
    return render(request, "workers/add.html", {"form": form}, status=400 if form.errors else 200)


@admins_only
@never_cache
@require_POST
def new_token(request: HttpRequest, worker_id: uuid.UUID) -> HttpResponse:
    worker = get_object_or_404(Worker, id=worker_id)
    about(worker)
    form = TokenForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose for how long the token can be used: an hour, a day or a week.")
        return redirect("worker-detail", worker_id)
    try:
        _row, token = join_token_make(worker.id, form.cleaned_data["hours"])
    except Refused as error:
        messages.error(request, str(error))
        return redirect("worker-detail", worker_id)
    return _show_token(request, worker, token)


@admins_only
@require_POST
def revoke_token(request: HttpRequest, worker_id: uuid.UUID, token_id: int) -> HttpResponseRedirect:
    token = get_object_or_404(JoinToken.objects.select_related("worker"), id=token_id, worker_id=worker_id)
    about(token)
    if join_token_revoke(token):
        messages.success(request, "The token is revoked. A worker that runs goes on; it cannot join with it again.")
    else:
        messages.info(request, "Nothing to do: the token was revoked already.")
    return redirect("worker-detail", worker_id)


@admins_only
@require_POST
def steer(request: HttpRequest, worker_id: uuid.UUID, verb: str) -> HttpResponseRedirect:
    if verb not in VERBS:
        raise Http404
    worker = get_object_or_404(Worker, id=worker_id)
    about(worker)
    service, told = VERBS[verb]
    if service(worker.id):
        messages.success(request, told.format(worker.name))
    else:
        worker.refresh_from_db()
        messages.info(request, f"Nothing to do: {worker.name} is {worker.get_intent_display().lower()} already.")
    return redirect("worker-detail", worker_id) if "detail" in request.POST else redirect("worker-list")


def _card_or_404(worker_id: uuid.UUID) -> Card:
    found = cards(Worker.objects.filter(id=worker_id), database_now())
    if not found:
        raise Http404
    return found[0]


def _tokens(worker: Worker) -> list[TokenLine]:
    """The newest first; older ones are in the audit log."""
    now = database_now()
    return [TokenLine(token, token.state(now)) for token in worker.join_tokens.all()[:TOKENS_SHOWN]]


def _show_token(request: HttpRequest, worker: Worker, token: str) -> HttpResponse:
    about(worker)
    url = request.build_absolute_uri("/").rstrip("/")
    expires_at = worker.join_tokens.latest("id").expires_at
    context = {"worker": worker, "commands": start_commands(url, token), "url": url, "expires_at": expires_at}
    return render(request, "workers/token.html", context, status=201)
