"""`manage.py worker` as a person runs it: beside a running app, joined to it, and refused by it."""

import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.person import Person
from tests.processes import environment_of
from tests.stack import PROJECT, RunningStack, environment_of_a_person, free_port, running_stack
from webapp.workers.worker_key import WorkerKey

SECONDS = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("join") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def ada(stack: RunningStack) -> Person:
    return Person(stack)


def command(home: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "worker", *words],
        cwd=PROJECT,
        env={**environment_of_a_person(), "GRAFTWORK_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=SECONDS)


def refusal(home: Path, *words: str, **environment: str) -> str:
    said, _ = command(home, *words, **environment).communicate(timeout=SECONDS)
    assert said.startswith("CommandError: ") and "Traceback" not in said, said
    return said


def add(ada: Person, name: str) -> tuple[str, str]:
    """The token of a new worker, and the address of its page."""
    page = ada._ok(
        ada.http.post("/workers/add", headers=ada._token(), data={"name": name, "labels": "", "slots": ""})
    ).text
    token, url = re.search(r"GRAFTWORK_JOIN_TOKEN=(\S+)", page), re.search(r'href="(/workers/[0-9a-f-]{36})"', page)
    assert token and url
    return token[1], url[1]


def health_words(ada: Person, url: str) -> list[str]:
    return re.findall(r'data-health="[a-z]+">.*?</svg>\s*([^<]+?)\s*</span>', ada.page(url), re.DOTALL)


def wait_for(ada: Person, url: str, word: str) -> None:
    deadline = time.monotonic() + SECONDS
    while (words := health_words(ada, url)) != [word]:
        assert time.monotonic() < deadline, words
        time.sleep(0.3)


def test_a_worker_joins_works_under_its_name_and_says_goodbye(stack: RunningStack, ada: Person) -> None:
    token, url = add(ada, "second")
    with running(command(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)) as process:
        wait_for(ada, url, "Online")
        environment = str(environment_of(process.pid))
        assert f"sqlite:///{stack.home}" in environment and token not in environment
        assert token not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert health_words(ada, "/workers/").count("Online") == 2
        process.terminate()
        said, _ = process.communicate(timeout=SECONDS)
    assert "Joined" in said and token not in said
    wait_for(ada, url, "Stopped")


def test_a_retired_worker_ends_by_itself(stack: RunningStack, ada: Person) -> None:
    token, url = add(ada, "third")
    with running(command(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)) as process:
        wait_for(ada, url, "Online")
        ada._ok(ada.http.post(f"{url}/retire", headers=ada._token()))
        assert process.wait(SECONDS) == 0
    assert "was revoked on" in refusal(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)


def test_a_worker_that_starts_again_needs_no_new_token_and_another_machine_does(
    stack: RunningStack, ada: Person, tmp_path: Path
) -> None:
    token, url = add(ada, "sixth")
    for _ in range(2):
        with running(command(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)):
            wait_for(ada, url, "Online")
        wait_for(ada, url, "Stopped")
    # What another machine differs in is its key: it has none yet.
    kept = next((stack.home / "worker_keys").glob(f"{hashlib.sha256(token.encode()).hexdigest()[:32]}.*"))
    kept.rename(tmp_path / "key")
    said = refusal(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)
    assert "was used on" in said and "by the worker “sixth”" in said and "Make a new one" in said
    assert not kept.exists(), "a machine that was turned away keeps no key"


def test_a_machine_whose_first_answer_was_lost_runs_the_same_command_again(
    stack: RunningStack, ada: Person, tmp_path: Path
) -> None:
    """The app has let it in, and the connection broke before it knew."""
    token, url = add(ada, "seventh")
    key = WorkerKey(stack.home, token, socket.gethostname())
    sent = {"key": key.text, "installation": (stack.home / "installation").read_text(), "host": "box"}
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.post(f"{stack.url}/workers/join", json=sent, headers=headers).status_code == 200
    with running(command(stack.home, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)):
        wait_for(ada, url, "Online")


def test_a_second_process_of_one_name_is_refused(stack: RunningStack, ada: Person) -> None:
    assert "Online" in health_words(ada, "/workers/")
    said, _ = command(stack.home).communicate(timeout=SECONDS)
    assert "already runs as process" in said and "GRAFTWORK_WORKER_NAME=" in said


def test_without_join_it_runs_for_its_own_installation(stack: RunningStack, ada: Person) -> None:
    with running(command(stack.home, "--name", "fourth")):
        deadline = time.monotonic() + SECONDS
        while "fourth" not in ada.page("/workers/"):
            assert time.monotonic() < deadline
            time.sleep(0.3)


def test_a_token_can_come_from_a_file(stack: RunningStack, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong\n")
    assert "not known" in refusal(stack.home, "--join", stack.url, "--token-file", str(tmp_path / "token"))
    assert "cannot be read" in refusal(stack.home, "--join", stack.url, "--token-file", str(tmp_path / "gone"))


def test_a_foreign_data_folder_is_refused(stack: RunningStack, ada: Person, tmp_path: Path) -> None:
    token, _url = add(ada, "fifth")
    said = refusal(tmp_path, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)
    assert f"{tmp_path} is not a data folder" in said and "GRAFTWORK_HOME=" in said
    (tmp_path / "installation").write_text("another")
    assert "belongs to another" in refusal(tmp_path, "--join", stack.url, GRAFTWORK_JOIN_TOKEN=token)
    assert list((tmp_path / "worker_keys").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "token", "sentence"),
    [("http://127.0.0.1:{}", "x", "cannot be reached"), ("graftwork", "x", "is no address"),
     ("ftp://graftwork", "x", "is no address"), ("http://[", "x", "is no address"),
     ("http://a:b", "x", "is no address"),
     ("http://127.0.0.1:{}", "", "join token is missing"),
     ("http://127.0.0.1:{}", "a b", "Copy it anew"), ("http://127.0.0.1:{}", "ü", "Copy it anew")],
)  # fmt: skip
def test_bad_addresses_and_tokens_are_told_in_a_sentence(tmp_path: Path, url: str, token: str, sentence: str) -> None:
    (tmp_path / "installation").write_text("this one")
    said = refusal(tmp_path, "--join", url.format(free_port()), GRAFTWORK_JOIN_TOKEN=token)
    assert sentence in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [(200, "<html>", "not as Graftwork does"), (400, "Bad Request", "GRAFTWORK_ALLOWED_HOSTS"),
     (301, "", "sends us on to"),
     (409, json.dumps({"error": "It is SQLite."}), "It is SQLite."), (500, "[]", "status 500")],
)  # fmt: skip
def test_strange_answers_are_told_in_a_sentence(tmp_path: Path, status: int, body: str, sentence: str) -> None:
    (tmp_path / "installation").write_text("this one")

    class Strange(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Location", "https://elsewhere.example/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Strange) as server:
        Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert sentence in refusal(tmp_path, "--join", url, GRAFTWORK_JOIN_TOKEN="x")
    assert not (tmp_path / "graftwork.sqlite3").exists()
