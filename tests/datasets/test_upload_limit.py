"""A file over the limit is stopped while it streams in, and told so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.conftest import Send
from tests.datasets.files import good_csv
from webapp.datasets.upload_limit import OVERHEAD_BYTES

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
