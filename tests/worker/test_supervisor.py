"""With real child processes: small programs that stand where the engine stands, and behave well or badly."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.processes import goes
from webapp.contract.events import Evaluated, Event
from worker import supervisor
from worker.supervisor import Leash, Order

WELL_BEHAVED = """
import sys, threading, time
from pathlib import Path
from webapp.contract.events import Evaluated, Stopped, append_event
events = Path(sys.argv[1]) / "events.jsonl"
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
for step in range(1, {steps} + 1):
    append_event(events, Evaluated(step=step, epoch=1, loss=1 / step))
    if told.wait(0.05):
        append_event(events, Stopped(step=step))
        sys.exit(3)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


LEASH = Leash(stop_grace=1.0, stall=5.0)


class Child:
    """Runs a program as the supervisor's child and remembers what came of it."""

    def __init__(self, job_dir: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
        path = job_dir / "program.py"
        path.write_text(program)
        monkeypatch.setattr(supervisor, "_command", lambda _module, *_words: [sys.executable, str(path), str(job_dir)])
        monkeypatch.setattr(supervisor, "TICK_SECONDS", 0.1)
        self.job_dir = job_dir
        self.events: list[Event] = []
        self.order: Order = "go_on"

    def run(self) -> supervisor.Outcome:
        return supervisor.run_engine(self.job_dir, self.tick, LEASH, module="")

    def tick(self, events: list[Event]) -> Order:
        self.events += events
        return self.order


def test_every_event_arrives_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, WELL_BEHAVED.format(steps=20), monkeypatch)
    assert child.run() == supervisor.Outcome(0, "go_on")
    assert [event.step for event in child.events if isinstance(event, Evaluated)] == list(range(1, 21))


def test_a_child_that_is_asked_stops_between_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, WELL_BEHAVED.format(steps=10_000), monkeypatch)
    threading.Timer(0.5, setattr, [child, "order", "stop"]).start()
    assert child.run() == supervisor.Outcome(3, "stop")
    assert child.events[-1].kind == "stopped"


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, DEAF, monkeypatch)
    child.order = "stop"
    assert child.run() == supervisor.Outcome(-signal.SIGKILL, "stop", "deaf")


def test_a_child_that_crashes_tells_its_code_and_leaves_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, "raise RuntimeError('the disk is on fire')", monkeypatch)
    assert child.run() == supervisor.Outcome(1, "go_on")
    assert "the disk is on fire" in (tmp_path / "engine.log").read_text()


def test_grandchildren_go_with_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(sys.argv[1] + '/pid', 'w').write(str(grandchild.pid))\n"
        "time.sleep(600)"
    )
    child = Child(tmp_path, program, monkeypatch)
    threading.Timer(1.0, setattr, [child, "order", "kill"]).start()
    child.run()
    assert goes(int((tmp_path / "pid").read_text()))


def test_a_child_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFTWORK_SECRET_KEY", "canary-key")
    monkeypatch.setenv("GRAFTWORK_DATABASE_URL", "postgres://canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-too")
    child = Child(tmp_path, "import os; print(dict(os.environ))", monkeypatch)
    assert child.run().exit_code == 0
    log = (tmp_path / "engine.log").read_text()
    assert "PATH" in log
    assert "canary" not in log


def test_an_error_in_the_recorder_leaves_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, f"open('{tmp_path}/pid', 'w').write(str(__import__('os').getpid()))\n" + DEAF, monkeypatch)

    def broken(_events: list[Event]) -> Order:
        if (tmp_path / "pid").exists():
            raise RuntimeError("no database")
        return "go_on"

    with pytest.raises(RuntimeError, match="no database"):
        supervisor.run_engine(tmp_path, broken, LEASH, module="")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert child.events == []


def test_a_child_that_shows_no_progress_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(tmp_path, "import time; time.sleep(600)", monkeypatch)
    assert child.run() == supervisor.Outcome(-signal.SIGKILL, "go_on", "stalled")


def test_a_cancel_outweighs_a_stop_and_both_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import sys, os\nheard = b''\nwhile b'C' not in heard: heard += os.read(0, 64)\nprint(heard); sys.exit(3)"
    child = Child(tmp_path, program, monkeypatch)
    child.order = "stop"
    threading.Timer(0.4, setattr, [child, "order", "cancel"]).start()
    assert child.run() == supervisor.Outcome(3, "cancel")
    assert "S\\nC" in (tmp_path / "engine.log").read_text()


def test_a_child_that_is_to_keep_has_all_the_time_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = WELL_BEHAVED.format(steps=40).replace("sys.exit(3)", "told.clear()")
    child = Child(tmp_path, program, monkeypatch)
    child.order = "keep"
    assert child.run() == supervisor.Outcome(0, "keep")
