"""The first admin of a fresh stack, who acts over HTTP as the browser would."""

import re
from pathlib import Path

from tests.stack import RunningStack
from webapp.local.client import Client

USERNAME = "ada"
PASSWORD = "correct horse battery staple"


class Person(Client):
    def __init__(self, stack: RunningStack) -> None:
        assert stack.welcome_url is not None
        path = stack.welcome_url.removeprefix(stack.url)
        super().__init__(stack.url, path, username=USERNAME, password=PASSWORD, password_again=PASSWORD)

    def page(self, url: str) -> str:
        return self._ok(self.http.get(url)).text

    def base_model_register(self, folder: Path, *, title: str) -> None:
        fields = {"folder": str(folder), "title": title}
        self._ok(
            self.http.post("/models/register", headers={"X-CSRFToken": self.http.cookies["csrftoken"]}, data=fields)
        )

    def job_cancel(self, url: str) -> None:
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"]}
        self._ok(self.http.post(f"{url.rstrip('/')}/cancel", headers=headers))

    def adapter_download(self, job_url: str) -> bytes:
        """Follow the link that a succeeded job's page shows."""
        link = re.search(r'href="(/adapters/versions/[^"]+/download)"', self.page(job_url))
        assert link is not None
        return self._ok(self.http.get(link[1])).content
