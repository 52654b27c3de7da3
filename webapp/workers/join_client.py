"""A worker's side of joining: asks the app over HTTP who it is, and checks that both have the same data folder."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from webapp.workers.joining import JoinAnswer
from webapp.workers.rules import Refused

TIMEOUT_SECONDS = 20.0


def join_ask(url: str, token: str) -> JoinAnswer:
    """Raises Refused with what to do about it."""
    address = url.rstrip("/") + "/workers/join"
    try:
        response = httpx.post(address, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Refused(f"{url} cannot be reached ({error}). Check the address, and that the app is running.") from error
    if response.status_code != 200:
        raise Refused(_why_not(url, response))
    try:
        return JoinAnswer.model_validate_json(response.content)
    except ValidationError as error:
        raise Refused(f"{url} answers, but not as Graftwork does. Check the address.") from error


def url_check(url: str) -> None:
    """Raises Refused."""
    try:
        place = urlsplit(url)
        is_address = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Refused(f"“{url}” is no address of an app. Give it as in the browser: https://graftwork.example.org")


def data_dir_check(data_dir: Path, installation: str) -> None:
    """Rows and adapters travel through the data folder, so the worker must have the app's own. Raises Refused."""
    try:
        ours = (data_dir / "installation").read_text()
    except OSError:
        ours = ""
    if ours != installation:
        found = "belongs to another installation" if ours else "is not a data folder of an app"
        raise Refused(
            f"{data_dir} {found}. A worker shares the data folder with the app: mount the app's folder on this "
            "machine and name it with GRAFTWORK_HOME=/its/path."
        )


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
