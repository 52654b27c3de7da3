"""Looking at and fetching models of the Hub, as a worker does it for a page: what the child is told, what is kept."""

from django.conf import settings

from webapp import storage
from webapp.accounts.models import User
from webapp.base_models.hub import why_not
from webapp.base_models.services import base_model_fetched, hub_model_id
from webapp.contract.hub import FetchedModel, HubLook, HubRequest
from webapp.errands.models import Errand
from webapp.hub_tokens.services import hub_token_use
from worker.errand_way import Answer, CannotDo, Told

LOOK_SECONDS = 120.0
FETCH_SECONDS = 1800.0
"""Without a word: while bytes come there is one every half second, but to check a large model takes its time."""


def tell_look(errand: Errand) -> Told:
    asked = errand.payload
    request = HubRequest(
        wants="look",
        hub_id=asked["hub_id"],
        revision=asked["revision"],
        folder=str(storage.base_models_dir()),
        limit_bytes=settings.HUB_LIMIT_BYTES,
    )
    return _told(errand, request)


def tell_fetch(errand: Errand) -> Told:
    """The commit that was looked at, whatever its branch holds by now."""
    look = HubLook.model_validate(errand.payload["look"])
    request = HubRequest(
        wants="fetch",
        hub_id=look.hub_id,
        revision=look.commit,
        folder=str(storage.base_model_dir(errand.payload["model_id"])),
        limit_bytes=settings.HUB_LIMIT_BYTES,
    )
    return _told(errand, request)


def keep_fetched(errand: Errand, answer: Answer) -> Answer:
    fetched = FetchedModel.model_validate(answer)
    if hub_model_id(fetched.look, errand.asked_by) != errand.payload["model_id"]:
        # Its id says who may see it, and that was decided by what the Hub said then.
        storage.folder_delete(storage.base_model_dir(errand.payload["model_id"]))
        raise CannotDo(f"Who may read {fetched.look.hub_id} was changed on the Hub meanwhile. Look at it again.")
    base_model_fetched(fetched, errand.asked_by)
    return answer


def _told(errand: Errand, request: HubRequest) -> Told:
    """Between asking and doing, a person may have lost the right to it."""
    user = errand.asked_by
    assert isinstance(user, User)
    if not user.is_active:
        raise CannotDo("The account that asked for this is closed.")
    if reason := why_not(user):
        raise CannotDo(reason)
    return Told(request.model_dump_json(), first_line=hub_token_use(user))
