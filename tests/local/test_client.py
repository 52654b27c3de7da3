"""The script's own client takes its steps also where the app answers that something is not done yet."""

from pathlib import Path
from typing import Any

import pytest

from tests.datasets.files import GOOD_PAIRS, good_csv
from tests.factories import make_user
from webapp.accounts.services import sign_in_link_create
from webapp.datasets import reading_answers
from webapp.datasets.models import DatasetVersion
from webapp.local import client as module
from webapp.local.client import Client


@pytest.mark.parametrize("wait", [0.0, 120.0])
def test_a_dataset_is_saved_however_long_its_file_is_read(
    transactional_db: None, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: float
) -> None:
    monkeypatch.setattr(reading_answers, "JSON_WAIT_SECONDS", wait)
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.1)
    (tmp_path / "rows.csv").write_text(good_csv())
    client = Client(live_server.url, f"/welcome/{sign_in_link_create(make_user())}")
    # The other way round than the guess, so that its rows are not checked yet.
    mapping = {"input": "answer", "output": "question"}
    version = DatasetVersion.objects.get(id=client.dataset_upload(tmp_path / "rows.csv", name="Mine", mapping=mapping))
    assert (version.num_rows, version.mapping, str(version.dataset)) == (len(GOOD_PAIRS), mapping, "Mine")
    client.http.close()
