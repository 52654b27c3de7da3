"""What the tests of datasets ask again and again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from webapp.datasets import reading_answers
from webapp.datasets.models import Dataset, DatasetVersion, Upload

JSON = {"Accept": "application/json"}

Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for the child that reads, however busy the machine is; tests of what is shown meanwhile undo
    it."""
    for name in ("JSON_WAIT_SECONDS", "PAGE_WAIT_SECONDS"):
        monkeypatch.setattr(reading_answers, name, 120.0)


@pytest.fixture
def send(alice_client: Client) -> Send:
    """Uploads a file as Alice's browser script does; `html=True` as her browser does without it."""

    def send_file(content: bytes | str, name: str = "rows.csv", *, html: bool = False) -> Any:
        data = content if isinstance(content, bytes) else content.encode()
        headers = {} if html else JSON
        return alice_client.post("/datasets/upload", {"file": SimpleUploadedFile(name, data)}, headers=headers)

    return send_file


@pytest.fixture
def nothing_left(data_dir: Path) -> Callable[[], None]:
    def check() -> None:
        assert not Upload.objects.exists() and not Dataset.objects.exists() and not DatasetVersion.objects.exists()
        assert files_in(data_dir) == []

    return check


def files_in(data_dir: Path) -> list[Path]:
    """All but the locks of what runs."""
    return sorted(path for path in data_dir.rglob("*") if path.is_file() and path.parent.name != "run")


@pytest.fixture
def saved(alice_client: Client, send: Send) -> Send:
    """Uploads and saves; the answer to saving."""

    def save(content: bytes | str, file_name: str = "rows.csv", /, **fields: str) -> Any:
        url = send(content, file_name).json()["url"]
        return alice_client.post(url, {"name": "Mine", **fields}, headers=JSON)

    return save
