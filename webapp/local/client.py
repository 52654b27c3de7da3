"""A person's steps, taken by a script over the same addresses a browser uses."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

ACCEPTED = 202
"""Not done yet: to be asked again."""
ASK_AGAIN_SECONDS = 1.0


class Refused(Exception):
    """The app said no; the message is the app's own."""


class Client:
    """Signed in through a one-time link."""

    def __init__(self, url: str, welcome_path: str, **account: str) -> None:
        """`account`: user name and password (twice), where the link is the one that makes the first admin."""
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=60)
        page = self.http.get(welcome_path)
        self._ok(page)
        self._ok(self.http.post(welcome_path, data={"csrfmiddlewaretoken": _csrf_token(page.text), **account}))

    def dataset_upload(self, path: Path, *, name: str, mapping: dict[str, str]) -> str:
        """Upload, map, save. Returns the dataset version's id."""
        with path.open("rb") as file:
            sent = self._send("/datasets/upload", files={"file": (path.name, file)})
        # A large file is read, and its rows are checked, after the request was answered.
        url = sent.json()["url"]
        while sent.status_code == ACCEPTED:
            time.sleep(ASK_AGAIN_SECONDS)
            sent = self._ok(self.http.get(url, headers={"Accept": "application/json"}))
        saved = self._send(url, data={"name": name, **mapping})
        while saved.status_code == ACCEPTED:
            time.sleep(ASK_AGAIN_SECONDS)
            saved = self._send(url, data={"name": name, **mapping})
        return str(saved.json()["version_id"])

    def job_start(self, **fields: str) -> str:
        """Fields as on the page “New job”. Returns the job's address."""
        return str(self._post("/jobs/new", data=fields)["url"])

    def job_follow(self, url: str, watch: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Look every second until the job is over; returns what the app then says of it."""
        while True:
            job = self._ok(self.http.get(url, headers={"Accept": "application/json"})).json()
            watch(job)
            if job["is_over"]:
                return dict(job)
            time.sleep(1)

    def _post(self, url: str, **content: Any) -> dict[str, Any]:
        return dict(self._send(url, **content).json())

    def _send(self, url: str, **content: Any) -> httpx.Response:
        headers = {"Accept": "application/json", **self._token()}
        return self._ok(self.http.post(url, headers=headers, **content))

    def _token(self) -> dict[str, str]:
        return {"X-CSRFToken": self.http.cookies[settings.CSRF_COOKIE_NAME]}

    def _ok(self, response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise Refused(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:500]}"
            )
        return response


def _csrf_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None
    return found[1]
