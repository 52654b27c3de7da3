"""What goes wrong between here and the Hub, in words a person can act on. A token is in none of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from webapp.contract.hub import HubProblem, HubRequest
from worker.engine.errors import TrainingError


class HubRefusal(TrainingError):
    """The model is not looked at or fetched; the message says why and what to do."""

    def __init__(self, problem: HubProblem, message: str) -> None:
        super().__init__("base_model", message, evidence=problem)
        self.problem: HubProblem = problem


def page_of(hub_id: str) -> str:
    """Where a person reads about the model, asks for access, accepts its licence."""
    return f"{constants.ENDPOINT}/{hub_id}"


@contextmanager
def in_words(request: HubRequest, *, has_token: bool) -> Iterator[None]:
    """Turns the library's errors into ours. Its own texts name addresses that are signed, so they are not passed on."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        message = "This installation is offline (HF_HUB_OFFLINE), so the Hub is not asked. What is here works as ever."
        raise HubRefusal("offline", message) from error
    except HfHubHTTPError as error:
        raise _answered(request, error, has_token=has_token) from error
    except httpx2.HTTPError as error:
        message = (
            f"{constants.ENDPOINT} does not answer ({type(error).__name__}). Check the network, then try again; "
            "what is here works as ever."
        )
        raise HubRefusal("no_answer", message) from error


def _answered(request: HubRequest, error: HfHubHTTPError, *, has_token: bool) -> HubRefusal:
    """The Hub answered no."""
    status = error.response.status_code
    page = page_of(request.hub_id)
    match error:
        case GatedRepoError():
            return HubRefusal("no_access", gated_words(request.hub_id, has_token=has_token))
        case DisabledRepoError():
            return HubRefusal("no_access", f"The Hub has closed {request.hub_id}: {page} says why.")
        case RepositoryNotFoundError():
            return HubRefusal("not_found", _not_found_words(request.hub_id, has_token=has_token))
        case RevisionNotFoundError():
            message = f"{request.hub_id} has no revision “{request.revision}”. Look at {page}/commits/main."
            return HubRefusal("not_found", message)
        case RemoteEntryNotFoundError():
            return HubRefusal("not_found", f"A file of {request.hub_id} is gone from the Hub. Look at it again.")
    if status == 401 and has_token:
        message = (
            "The Hub refuses your token; it was revoked or has expired. Make a new one at "
            f"{constants.ENDPOINT}/settings/tokens and set it on your Account page."
        )
        return HubRefusal("no_access", message)
    if status in (401, 403):
        return HubRefusal("no_access", gated_words(request.hub_id, has_token=has_token))
    if status == 404:
        return HubRefusal("not_found", _not_found_words(request.hub_id, has_token=has_token))
    busy = "asks for fewer questions" if status == 429 else "has a fault of its own"
    return HubRefusal("no_answer", f"{constants.ENDPOINT} {busy} ({status}). Wait some minutes, then try again.")


def gated_words(hub_id: str, *, has_token: bool) -> str:
    page = page_of(hub_id)
    if has_token:
        return f"{hub_id} is gated, and your token opens it not yet. Ask for access at {page}, then try again."
    return (
        f"{hub_id} is gated. Ask for access at {page}, make a token at {constants.ENDPOINT}/settings/tokens, and set "
        "it on your Account page."
    )


def _not_found_words(hub_id: str, *, has_token: bool) -> str:
    private = (
        "if it is private, your token does not open it"
        if has_token
        else "if it is private, set your Hub token on your Account page"
    )
    return f"The Hub knows no model {hub_id}. Mind the spelling; {private}."
