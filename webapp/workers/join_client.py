"""A worker's side of joining: asks the app over HTTP who it is and where everything lies."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from webapp.workers.joining import JoinAnswer, JoinRequest
from webapp.workers.rules import Refused
from webapp.workers.worker_key import WorkerKey

TIMEOUT_SECONDS = 20.0
_SHARED = (
    "A worker shares the data folder with the app: mount the app's folder on this machine and name it with "
    "GRAFTWORK_HOME=/its/path."
)


class TurnedAway(Refused):
    """The app itself said no, so it knows nothing of this machine."""


def join(url: str, token: str, data_dir: Path, host: str) -> JoinAnswer:
    """Ask with a key that is kept first: whatever happens on the way, the same command may be run again. Raises
    Refused with what to do about it."""
    installation = installation_of(data_dir)
    key = WorkerKey(data_dir, token, host)
    try:
        return _ask(url, token, JoinRequest(key=key.text, installation=installation, host=host))
    except TurnedAway:
        if key.is_new:
            key.forget()
        raise


def url_check(url: str) -> None:
    """Raises Refused."""
    try:
        place = urlsplit(url)
        is_address = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Refused(f"“{url}” is no address of an app. Give it as in the browser: https://graftwork.example.org")


def installation_of(data_dir: Path) -> str:
    """Rows and adapters travel through the data folder, so the worker must have the app's own. Raises Refused."""
    try:
        installation = (data_dir / "installation").read_text()
    except (OSError, UnicodeError):
        installation = ""
    if not installation:
        raise Refused(f"{data_dir} is not a data folder of an app. {_SHARED}")
    return installation


def _ask(url: str, token: str, request: JoinRequest) -> JoinAnswer:
    address = url.rstrip("/") + "/workers/join"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        response = httpx.post(address, headers=headers, json=request.model_dump(), timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Refused(f"{url} cannot be reached ({error}). Check the address, and that the app is running.") from error
    if 400 <= response.status_code < 500:
        raise TurnedAway(_why_not(url, response))
    if response.status_code != 200:
        raise Refused(_why_not(url, response))
    try:
        return JoinAnswer.model_validate_json(response.content)
    except ValidationError as error:
        raise Refused(f"{url} answers, but not as Graftwork does. Check the address.") from error


def _why_not(url: str, response: httpx.Response) -> str:
    if response.is_redirect:
        return f"{url} sends us on to {response.headers.get('Location', 'another address')}. Join at that address."
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return (
            f"{url} answered with status {response.status_code}, not as Graftwork does. Check the address; if it is "
            "right, the app's GRAFTWORK_ALLOWED_HOSTS may lack this name."
        )
