"""With real processes: a child that stands by for a job is held, and does its work, as one that was started for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from django.conf import LazySettings
from safetensors.torch import load_file

from tests.engine.here import Attempt, lay_job
from tests.engine.runs import events_of
from tests.processes import environment_of, goes
from tests.stack import PROJECT
from webapp.contract.devices import Device
from webapp.contract.job_dir import ADAPTER, LOG
from webapp.workers.models import Intent, Worker
from worker import standby as standby_of_a_slot
from worker.engine.methods.peft_adapters import WEIGHTS
from worker.free_slots import Slot
from worker.slot_lock import slot_lock_try
from worker.slots import Slots
from worker.standby import ENGINE, Standby
from worker.supervisor import Leash, run_engine

SLOT = {"OMP_NUM_THREADS": "1"}
LEASH = Leash(more=SLOT)


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "slot.lock"


@pytest.fixture
def standby(tmp_path: Path, lock_path: Path) -> Iterator[Standby]:
    lock = slot_lock_try(lock_path)
    assert lock is not None
    waiting = Standby(lock, SLOT, tmp_path / "run" / "standby.log")
    yield waiting
    waiting.end()
    os.close(lock)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the child of that slot has it; another number would round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def child_of(standby: Standby) -> subprocess.Popen[bytes]:
    assert standby._child is not None
    return standby._child


def test_its_job_is_the_job_of_a_child_that_was_started_for_it(
    standby: Standby, one_thread: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY", "canary-key")
    monkeypatch.setenv("GRAFTWORK_DATABASE_URL", "postgres://canary")
    cold, warm = (lay_job(tmp_path, epochs=1) for _job in range(2))
    expected = Attempt(cold)
    assert expected.exit_code == 0
    standby._like = cold  # as the slot's last job
    standby.keep()
    child = child_of(standby)
    seen = environment_of(child.pid)
    assert seen["OMP_NUM_THREADS"] == "1" and "canary" not in str(seen)
    assert os.getsid(child.pid) == child.pid
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text().strip() == "500"
    until_it_rests(child)
    before = standby._log_path.read_text()
    taken = standby.take(warm, LEASH)
    assert taken is child
    assert run_engine(warm, lambda _events: "go_on", LEASH, module=ENGINE, waiting=taken).exit_code == 0
    weights = load_file(warm / ADAPTER / WEIGHTS)
    assert all(torch.equal(weights[name], one) for name, one in expected.weights.items())
    losses = [event.loss for event in events_of(warm) if event.kind == "stepped"]
    assert losses == [event.loss for event in expected.of_kind("stepped")]
    assert "Loading weights" in (warm / LOG).read_text() and standby._log_path.read_text() == before
    assert "Traceback" not in before


def test_it_tells_how_fast_its_processor_is_and_so_does_its_job(
    lock_path: Path, one_thread: None, tmp_path: Path
) -> None:
    speed_path = tmp_path / "run" / "slot.speed"
    speed_path.parent.mkdir(exist_ok=True)
    speed_path.write_text("7\n")  # by a worker of before, on another machine
    lock = slot_lock_try(lock_path)
    assert lock is not None
    standby = Standby(lock, SLOT, tmp_path / "run" / "standby.log", speed_path)
    try:
        assert standby.flops_a_second() == 0
        standby.keep()
        until_it_rests(child_of(standby))
        told = standby.flops_a_second()
        assert told > 1e9
        job_dir = lay_job(tmp_path, epochs=1)
        taken = standby.take(job_dir, LEASH)
        assert taken is not None
        assert run_engine(job_dir, lambda _events: "go_on", LEASH, module=ENGINE, waiting=taken).exit_code == 0
        (started,) = [event for event in events_of(job_dir) if event.kind == "started"]
        assert started.flops_a_second == pytest.approx(told, rel=1e-2)
    finally:
        standby.end()
        os.close(lock)


@pytest.mark.django_db
def test_how_fast_a_processor_is_stands_in_its_worker_s_row_and_only_grows(lock_path: Path, tmp_path: Path) -> None:
    processor = Device(kind="cpu", name="A processor", memory_bytes=1, cores=2)
    worker = Worker.objects.create(name="alpha", slots=1, devices_json=[processor.model_dump()])
    slots, path = Slots(worker), tmp_path / "slot.speed"
    lock = slot_lock_try(lock_path)
    assert lock is not None
    standby = Standby(lock, SLOT, tmp_path / "standby.log", path)
    seen = []
    for told in ("3e10", "2e10", "4e10"):
        path.write_text(told)
        slots._see_to(standby, is_lent=True)
        worker.refresh_from_db()
        seen.append(worker.devices[0].flops_a_second)
    os.close(lock)
    assert seen == [3e10, 3e10, 4e10] and worker.devices[0].name == "A processor"


def until_it_rests(child: subprocess.Popen[bytes]) -> None:
    """It has imported and rehearsed all there is once it needs no more processor time."""
    process, used = psutil.Process(child.pid), -1.0
    while (now := sum(process.cpu_times()[:2])) > used:
        used = now
        time.sleep(0.7)
    assert used > 1


def test_it_dies_with_its_worker(tmp_path: Path, lock_path: Path) -> None:
    program = (
        "import time; from pathlib import Path\n"
        "from worker.slot_lock import slot_lock_try\n"
        "from worker.standby import Standby\n"
        f"standby = Standby(slot_lock_try(Path({str(lock_path)!r})), {{}}, Path({str(tmp_path / 'log')!r}))\n"
        "standby.keep(); print(standby._child.pid, flush=True); time.sleep(600)"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    assert slot_lock_try(lock_path) is None
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert goes(pid)
    deadline = time.monotonic() + 60
    # Its first thread is gone by now; the lock goes with its last one.
    while (free := slot_lock_try(lock_path)) is None:
        assert time.monotonic() < deadline, "the slot's lock is still held"
        time.sleep(0.05)
    os.close(free)


def test_one_that_was_killed_is_no_hindrance(standby: Standby, tmp_path: Path) -> None:
    standby.keep()
    child = child_of(standby)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert standby.take(tmp_path, LEASH) is None
    standby.keep()
    assert child_of(standby).poll() is None


def test_one_that_dies_by_itself_is_not_started_again_and_again(standby: Standby) -> None:
    standby.keep()
    os.killpg(child_of(standby).pid, signal.SIGKILL)
    child_of(standby).wait()
    standby.keep()
    assert standby._child is None


def test_a_job_that_shall_see_other_cards_is_not_given_to_it(standby: Standby, tmp_path: Path) -> None:
    standby.keep()
    assert standby.take(tmp_path, Leash(more={"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"})) is None
    assert child_of(standby).poll() is None


def test_there_is_none_where_memory_is_short(standby: Standby, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_of_a_slot, "_free_bytes", lambda: standby_of_a_slot.ROOM_TO_START_BYTES - 1)
    standby.keep()
    assert standby._child is None
    monkeypatch.undo()
    standby.keep()
    child = child_of(standby)
    monkeypatch.setattr(standby_of_a_slot, "_free_bytes", lambda: standby_of_a_slot.ROOM_TO_STAY_BYTES - 1)
    standby.keep()
    assert standby._child is None and child.returncode == -signal.SIGKILL


def test_a_worker_that_is_drained_has_none(standby: Standby) -> None:
    slots = Slots(Worker(name="alpha", slots=1))
    slots._see_to(standby, is_lent=False)
    child = child_of(standby)
    slots.worker.intent = Intent.DRAINING
    slots._see_to(standby, is_lent=False)
    assert standby._child is None and child.returncode == -signal.SIGKILL


def test_it_can_be_switched_off_and_stands_by_for_the_engine_alone(settings: LazySettings) -> None:
    slots, slot = Slots(Worker(name="alpha", slots=1)), Slot(0, -1, SLOT)
    assert slots._standby(slot) is not None
    settings.ENGINE_MODULE = "tests.faults.stub_engine"
    assert slots._standby(slot) is None
    settings.ENGINE_MODULE, settings.STANDBY = ENGINE, False
    assert slots._standby(slot) is None


@pytest.mark.parametrize("pieces", [[b"/a/job\nC"], [b"/a/", b"job\n", b"C"], [b"/a/job", b"\nS", b"KC"]])
def test_what_is_asked_right_after_the_job_was_named_is_heard(pieces: list[bytes]) -> None:
    program = (
        "import time; from worker.engine.stop import control_pipe_of_a_job\n"
        "named, wanted = control_pipe_of_a_job()\n"
        "while wanted() != 'cancel': time.sleep(0.01)\n"
        "print(named.result(), flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    for piece in pieces:
        child.stdin.write(piece)
        child.stdin.flush()
        time.sleep(0.05)
    assert child.stdout.readline() == b"/a/job\n"
    child.stdin.close()
    assert child.wait(10) == -signal.SIGKILL
