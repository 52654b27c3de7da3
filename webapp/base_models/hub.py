"""Looking at and fetching models of the Hub, as errands that a worker does: who may, what is asked, what came of it."""

from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from webapp import storage
from webapp.accounts.models import User
from webapp.audit.recording import settle
from webapp.base_models.models import BaseModel
from webapp.base_models.services import hub_model_id
from webapp.contract.hub import HubLook
from webapp.errands.models import Errand, Kind, State
from webapp.errands.services import errand_ask, errands_are_served


class NotAllowed(Exception):
    """This person may not fetch from the Hub, or nobody may; the message says why."""


class Fetch(NamedTuple):
    """A fetch that has not become a model yet, as its card shows it."""

    id: object
    hub_id: str
    is_moving: bool
    has_begun: bool
    was_stopped: bool
    is_stopping: bool
    sentence: str
    percent: float | None
    error: str
    may_steer: bool


def why_not(user: User) -> str:
    """Why this person cannot ask the Hub; empty if they can."""
    if settings.HUB == "off":
        return "Fetching from the Hub is switched off here (GRAFTWORK_HUB). Starter models and folders work as ever."
    if settings.HUB_IS_OFFLINE:
        return "This installation is offline (HF_HUB_OFFLINE), so the Hub is not asked. What is here works as ever."
    if settings.HUB == "admins" and not user.is_staff:
        return "Only admins fetch models from the Hub here (GRAFTWORK_HUB). Ask one of them."
    return ""


def look_ask(user: User, hub_id: str, revision: str) -> Errand:
    """Raises NotAllowed, TooManyErrands."""
    _check_allowed(user)
    return errand_ask(user, Kind.LOOK_AT_MODEL, {"hub_id": hub_id, "revision": revision})


def fetch_ask(user: User, look: HubLook) -> Errand:
    """A commit that is being fetched already is not fetched twice. Raises NotAllowed, TooManyErrands."""
    _check_allowed(user)
    model_id = hub_model_id(look, user)
    for fetching in Errand.objects.moving().filter(kind=Kind.FETCH_MODEL, payload__model_id=model_id):
        return fetching
    _ended_of(model_id).delete()
    return errand_ask(user, Kind.FETCH_MODEL, {"model_id": model_id, "look": look.model_dump(mode="json")})


def fetch_forget(errand: Errand) -> None:
    """With what has come so far, unless somebody is fetching on."""
    model_id = errand.payload["model_id"]
    with transaction.atomic():
        errand.delete()
        settle()
    if not Errand.objects.moving().filter(kind=Kind.FETCH_MODEL, payload__model_id=model_id).exists():
        storage.folder_delete(storage.base_model_parts_dir(model_id))


def fetched_already(look: HubLook, user: User) -> BaseModel | None:
    """None also where its files were lost: they can be fetched again."""
    model = BaseModel.objects.filter(id=hub_model_id(look, user)).first()
    return model if model and model.is_ready else None


def looks_of(user: User) -> "QuerySet[Errand]":
    return Errand.objects.filter(kind=Kind.LOOK_AT_MODEL, asked_by=user)


def fetches_steered_by(user: User) -> "QuerySet[Errand]":
    fetches = Errand.objects.filter(kind=Kind.FETCH_MODEL).exclude(state=State.DONE)
    return fetches if user.is_staff else fetches.filter(asked_by=user)


def fetches_seen_by(user: User) -> list[Fetch]:
    """One's own, and those of models that are open to all: others need not ask for them again."""
    fetches = Errand.objects.filter(kind=Kind.FETCH_MODEL).exclude(state=State.DONE)
    if not user.is_staff:
        is_open = Q(payload__look__is_private=False, payload__look__is_gated=False)
        fetches = fetches.filter(Q(asked_by=user) | is_open)
    return [_fetch(errand, user) for errand in fetches]


def _fetch(errand: Errand, user: User) -> Fetch:
    waits = "Waiting for a worker." if errands_are_served() else "Waiting for a worker. None is online just now."
    return Fetch(
        id=errand.id,
        hub_id=errand.payload["look"]["hub_id"],
        is_moving=errand.is_moving,
        has_begun=errand.state == State.RUNNING,
        was_stopped=errand.state == State.STOPPED,
        is_stopping=errand.wants_stop,
        sentence=errand.progress.get("sentence", "") if errand.state == State.RUNNING else waits,
        percent=errand.percent,
        error=errand.error,
        may_steer=user.is_staff or errand.asked_by_id == user.pk,
    )


def _ended_of(model_id: str) -> "QuerySet[Errand]":
    ended = Errand.objects.filter(kind=Kind.FETCH_MODEL, payload__model_id=model_id)
    return ended.filter(state__in=[State.FAILED, State.STOPPED])


def _check_allowed(user: User) -> None:
    if reason := why_not(user):
        raise NotAllowed(reason)
