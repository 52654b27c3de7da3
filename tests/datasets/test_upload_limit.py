"""A file over the limit is stopped while it streams in, and told so."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.conftest import Send
from tests.datasets.files import good_csv
from webapp.datasets.upload_limit import OVERHEAD_BYTES, BodyLimit

LIMIT = 2_000_000


@pytest.fixture(autouse=True)
def temp_dir(settings: Any, tmp_path: Path) -> Path:
    settings.UPLOAD_LIMIT_BYTES = LIMIT
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "temp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    return tmp_path / "temp"


@pytest.mark.parametrize("num_bytes", [LIMIT + 1, LIMIT + OVERHEAD_BYTES + 1])
@pytest.mark.parametrize("html", [True, False])
def test_a_file_over_the_limit_is_refused_and_leaves_nothing(
    num_bytes: int, html: bool, send: Send, nothing_left: Callable[[], None], temp_dir: Path
) -> None:
    answer = send(b"q,a\n" + b"x" * (num_bytes - 4), html=html)
    assert answer.status_code == 413
    if html:
        assert "larger than 2 MB" in answer.content.decode()
    else:
        assert answer.json()["code"] == "too_large" and answer.json()["hint"]
    nothing_left()
    assert list(temp_dir.iterdir()) == []


def test_a_file_of_exactly_the_limit_is_read(send: Send) -> None:
    start = good_csv()
    rest = "x," + "y" * 90 + "\n"
    content = start + rest * ((LIMIT - len(start)) // len(rest))
    assert send(content + "\n" * (LIMIT - len(content))).status_code == 201


def answer_of(headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> tuple[int, bytes, int]:
    """Status, body, and how many pieces were taken, when an app that reads everything stands behind the gate."""
    sent: list[Any] = []
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": pieces[taken - 1], "more_body": taken < len(pieces)}

    async def send_message(message: Any) -> None:
        sent.append(message)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    asyncio.run(BodyLimit(app)({"type": "http", "headers": headers}, receive, send_message))
    return sent[0]["status"], sent[1]["body"], taken


def test_a_body_that_claims_too_much_is_not_read_at_all() -> None:
    claimed = str(LIMIT + OVERHEAD_BYTES + 1).encode()
    status, body, taken = answer_of([(b"content-length", claimed)], [b"x"])
    assert (status, taken) == (413, 0)
    assert b"larger than 2 MB" in body and b"<html" in body


def test_a_body_that_claims_nothing_is_cut_at_the_limit() -> None:
    status, body, taken = answer_of([(b"accept", b"application/json")], [b"x" * 500_000] * 1000)
    assert (status, taken) == (413, 7)
    assert b'"code": "too_large"' in body


def test_a_body_within_the_limit_passes() -> None:
    assert answer_of([(b"content-length", b"10")], [b"x" * 10]) == (200, b"read", 1)
