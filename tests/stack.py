"""The real stack for tests: web, broker and one worker as processes, started by `manage.py up` on a scratch folder."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
GREETING_SECONDS = 180
STOP_SECONDS = 60


class RunningStack:
    """`url` of the app, `welcome_url` for the first admin (None if there is one), `home` its data folder."""

    def __init__(self, home: Path, process: subprocess.Popen[str], greeting: str) -> None:
        self.home = home
        self.process = process
        self.greeting = greeting
        self.url = re.findall(r"running at (\S+)", greeting)[0]
        self.welcome_url = next(iter(re.findall(r"one-time link: (\S+)", greeting)), None)

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_stack(home: Path, **environment: str) -> Iterator[RunningStack]:
    process = up(home, "--port", str(free_port()), **environment)
    try:
        yield RunningStack(home, process, greeting_of(process))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def up(home: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """`manage.py up` as a person would start it, with its console in our hands."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "up", *words],
        cwd=PROJECT,
        # Whoever does not measure how soon a job starts is spared the processes that make it soon.
        env={**environment_of_a_person(), "GRAFTWORK_HOME": str(home), "GRAFTWORK_STANDBY": "no", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As most shells have it; importing our settings has made this process's own stricter.
        umask=0o022,
    )


def environment_of_a_person() -> dict[str, str]:
    """Ours, without what pytest and its plugins have set."""
    ours = ("GRAFTWORK_", "DJANGO_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def greeting_of(process: subprocess.Popen[str]) -> str:
    """What `up` says until it stays; fails with all it said if it ends before."""
    assert process.stdout is not None
    said = ""
    deadline = time.monotonic() + GREETING_SECONDS
    for line in process.stdout:
        said += line
        if "Ctrl-C stops everything" in line:
            return said
        assert time.monotonic() < deadline, said
    raise AssertionError(f"`manage.py up` ended with {process.wait()}: {said}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_to_others(folder: Path) -> list[str]:
    """What in a folder, itself included, its group or everyone may read or write."""
    found = [path for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_symlink()]
    return [str(path.relative_to(folder)) for path in found]
