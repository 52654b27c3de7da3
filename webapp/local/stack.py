"""The whole app on one machine: broker, web server, one worker, each a process on a leash, all in one data folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import IO

from django.core.management import call_command
from packaging.requirements import Requirement

from webapp.local.lock import lock_take
from webapp.local.valkey import broker_url, valkey_lay_out

START_SECONDS = 60.0
PARTS_STOP_SECONDS = 8.0
BROKER_STOP_SECONDS = 1.5
MOST_ENDS = 5
ENDS_WITHIN_SECONDS = 60.0
PROTOCOL = "webapp.http.protocol:Protocol"
"""uvicorn's own, with a time-out for headers."""
WORKER_STAYS_AWAY = (0, 78)
"""It was retired, or refused: starting it again would change nothing."""
WORKER_STOP_GRACE_SECONDS = 6.0
"""For a training child to write its checkpoint when all is stopped."""
"""The broker goes last; together they keep Ctrl-C under ten seconds."""
DISTRIBUTION, EXTRA = "graftwork", "train"


class CannotStart(Exception):
    """The stack cannot run here; the message is one sentence that says why and what to do."""


class Stack:
    """Use as a context: everything runs inside, and nothing is left behind after it."""

    def __init__(self, data_dir: Path, *, host: str, port: int, say: Callable[[str], None] = lambda _: None) -> None:
        """`say` is told what is being started."""
        self.data_dir = data_dir
        self.host = host
        self.port = port or _free_port(host)
        self.url = f"http://{host}:{self.port}"
        self._say = say
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._ends: dict[str, list[float]] = {}
        self._lock: IO[str] | None = None
        self._socket_folder: Path | None = None
        """Outside the data folder, where that one's path is too long for a socket; goes when the stack stops."""

    def __enter__(self) -> "Stack":
        _check_packages()
        self._lock = lock_take(self.data_dir / "run" / "lock", self.url)
        try:
            _check_port(self.host, self.port)
            self._say("Preparing the database and starting the app.")
            call_command("migrate", verbosity=0)
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop("worker", "web", within=PARTS_STOP_SECONDS)
        self._stop("valkey", within=BROKER_STOP_SECONDS)
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def mend(self) -> list[str]:
        """Start again what ended though nobody asked it to; returns their names. Raises CannotStart for a part that
        keeps ending."""
        if (worker := self.children.get("worker")) and worker.poll() in WORKER_STAYS_AWAY:
            del self.children["worker"]
        ended = [name for name, child in self.children.items() if child.poll() is not None]
        for name in ended:
            now = time.monotonic()
            self._ends[name] = [at for at in self._ends.get(name, []) if now - at < ENDS_WITHIN_SECONDS] + [now]
            if len(self._ends[name]) > MOST_ENDS:
                raise CannotStart(
                    f"The {name} ended {MOST_ENDS} times within a minute; {self.log_path(name)} says why."
                )
            self._start(name, *self._commands[name])
        return ended

    def log_path(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def _start_all(self) -> None:
        valkey, valkey_socket = valkey_lay_out(self.data_dir)
        if self.data_dir not in valkey_socket.parents:
            self._socket_folder = valkey_socket.parent
        broker = {"GRAFTWORK_BROKER_URL": broker_url(valkey_socket)}
        # Of a run that was killed; Valkey itself refuses a name that is there.
        valkey_socket.unlink(missing_ok=True)
        self._start("valkey", valkey, {})
        self._wait("valkey", valkey_socket.exists)
        address = ["--host", self.host, "--port", str(self.port)]
        web = [sys.executable, "-m", "uvicorn", "webapp.asgi:application", "--http", PROTOCOL, *address]
        # Whom to believe about a client's address is Graftwork's own setting; uvicorn's would come before it.
        quiet = ["--no-proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "2"]
        self._start("web", [*web, "--lifespan", "on", *quiet], broker)
        celery = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "-P", "threads", "-c", "1"]
        queue = ["-Q", "train", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
        grace = os.environ.get("GRAFTWORK_STOP_GRACE_SECONDS", f"{WORKER_STOP_GRACE_SECONDS:g}")
        self._start("worker", [*celery, *queue], {**broker, "GRAFTWORK_STOP_GRACE_SECONDS": grace})
        self._wait("web", self._answers)

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self._commands[name] = (command, environment)
        self.log_path(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log_path(name).open("ab") as log:
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", "webapp.local.leash", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "GRAFTWORK_HOME": str(self.data_dir), **environment},
                cwd=Path(__file__).resolve().parents[2],
                start_new_session=True,
            )

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if self.children[name].poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"The {name} did not start; {self.log_path(name)} says why.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=5):
                return True
        except OSError:
            return False

    def _stop(self, *names: str, within: float) -> None:
        """Let go of the leashes; each then ends its command and itself."""
        children = [self.children.pop(name) for name in names if name in self.children]
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        deadline = time.monotonic() + within
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait()


def missing_packages() -> list[str]:
    """Returns what the installed metadata of the extra `train` asks for and this environment lacks."""
    needed = map(Requirement, requires(DISTRIBUTION) or ())
    names = [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": EXTRA})]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _check_packages() -> None:
    install = f"Install it: {sys.executable} -m pip install -e '.[{EXTRA}]'"
    try:
        missing = missing_packages()
    except PackageNotFoundError as error:
        raise CannotStart(f"Graftwork is not installed in this environment. {install}") from error
    if missing:
        raise CannotStart(f"Missing here: {', '.join(missing)}. {install}")


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} is not free ({error.strerror}). Choose another: manage.py up --port {port + 1}"
            ) from error


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
