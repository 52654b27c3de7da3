"""The child that asks the Hub: it gets the token through a pipe, leaves it nowhere, and dies with its supervisor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.base_models.hub_server import GB, TINY, TOKEN, Hub
from tests.base_models.test_hub_fetch import MB, request_of
from tests.stack import PROJECT
from webapp.contract.errand_dir import ANSWER, REQUEST
from webapp.contract.events import Failed, read_events
from webapp.contract.hub import HubLook, HubRequest
from webapp.contract.job_dir import EVENTS, LOG
from worker.engine.child import DONE, FAILED


@pytest.fixture
def child_dir(tmp_path: Path) -> Path:
    (tmp_path / "child").mkdir()
    return tmp_path / "child"


def start(child_dir: Path, request: HubRequest, **variables: str) -> subprocess.Popen[bytes]:
    """With the token as its first line; its standard input stays open, as the supervisor keeps it."""
    (child_dir / REQUEST).write_text(request.model_dump_json())
    kept = {name: os.environ[name] for name in ("PATH", "HF_ENDPOINT", "NO_PROXY")}
    with (child_dir / LOG).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "worker.base_models.hub", str(child_dir)],
            stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=PROJECT, env={**kept, **variables},
            start_new_session=True,
        )  # fmt: skip
    assert child.stdin is not None
    child.stdin.write(TOKEN.encode() + b"\n")
    child.stdin.flush()
    return child


def files_with(word: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def look(tmp_path: Path) -> HubRequest:
    return HubRequest(wants="look", hub_id=TINY, folder=str(tmp_path / "models"), limit_bytes=GB)


def test_a_look_is_answered_in_a_file(hub: Hub, model: Path, child_dir: Path, tmp_path: Path) -> None:
    hub.repos[TINY].token = TOKEN
    assert start(child_dir, look(tmp_path)).wait() == DONE
    found = HubLook.model_validate_json((child_dir / ANSWER).read_text())
    assert found.is_private and found.shape is not None
    assert files_with(TOKEN, child_dir) == []


def test_a_refusal_is_told_as_an_event_without_the_token(hub: Hub, child_dir: Path, tmp_path: Path) -> None:
    hub.revoked.add(TOKEN)
    assert start(child_dir, look(tmp_path)).wait() == FAILED
    events, _offset = read_events(child_dir / EVENTS, 0)
    failed = next(event for event in events if isinstance(event, Failed))
    assert failed.message.startswith("The Hub refuses your token") and failed.evidence == "no_access"
    assert files_with(TOKEN, child_dir) == []


def test_offline_it_says_so_at_once(hub: Hub, model: Path, child_dir: Path, tmp_path: Path) -> None:
    assert start(child_dir, look(tmp_path), HF_HUB_OFFLINE="1").wait() == FAILED
    assert "This installation is offline" in (child_dir / EVENTS).read_text()
    assert hub.asked == []


def test_the_token_is_in_no_variable_argument_or_file_and_the_child_dies_with_its_supervisor(
    hub: Hub,
    model: Path,
    folder: Path,
    child_dir: Path,
    tmp_path: Path,
) -> None:
    hub.repos[TINY].token = TOKEN
    hub.stall_at = MB
    child = start(child_dir, request_of(hub, folder))
    try:
        assert hub.stalled.wait(60)
        proc = Path(f"/proc/{child.pid}")
        assert TOKEN.encode() not in (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        assert ("/api/models/acme/tiny/revision/" + hub.repos[TINY].commit, "", f"Bearer {TOKEN}") in hub.asked
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) != DONE
    finally:
        child.kill()
    assert files_with(TOKEN, tmp_path) == []
