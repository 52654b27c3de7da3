"""`manage.py up` with real processes: it starts, refuses in one sentence, and leaves nothing behind."""

import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import httpx
import pytest

from tests.local.processes import processes_of, wait_until_gone
from tests.stack import PROJECT, RunningStack, environment_of_a_person, free_port, open_to_others, running_stack, up
from webapp.local import stack as local_stack
from webapp.local.stack import CannotStart, missing_packages


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    # A test's own folder has so long a name that the broker's socket would lie elsewhere.
    with running_stack(tmp_path_factory.mktemp("up")) as running:
        yield running


def test_it_runs_three_parts_and_ctrl_c_ends_all(stack: RunningStack) -> None:
    assert httpx.get(stack.url, follow_redirects=True).status_code == 200
    names = " ".join(" ".join(process.cmdline()) for process in processes_of(stack.home))
    assert all(word in names for word in ("valkey-server", "uvicorn", "celery"))
    assert stack.stop() == 0
    wait_until_gone(stack.home)


def test_nothing_is_left_when_it_is_killed(stack: RunningStack) -> None:
    stack.process.kill()
    wait_until_gone(stack.home)


def test_a_second_start_says_where_the_first_runs(stack: RunningStack) -> None:
    second = up(stack.home, "--port", str(free_port()))
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"already running at {stack.url} (process {stack.process.pid})" in said
    assert "Traceback" not in said


def test_secrets_are_the_owners_alone(stack: RunningStack) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(stack.home / "secret_key") == 0o600
    assert mode(stack.home / "valkey") == 0o700
    assert mode(stack.home / "valkey" / "valkey.sock") == 0o700
    assert open_to_others(stack.home) == []


def test_a_folder_an_older_version_left_open_is_closed_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_stack(home):
        pass
    program, foreign = home / "base_models" / "a model" / "program", home / "somebody's own"
    program.parent.mkdir(parents=True)
    for path in (program, foreign):
        path.touch()
    (home / "jobs").mkdir(exist_ok=True)
    (home / "jobs" / "elsewhere").symlink_to(foreign)
    for path in home.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path == program else 0o644)
    home.chmod(0o755)
    with running_stack(home):
        assert open_to_others(home) == ["somebody's own"]
    assert stat.S_IMODE(program.stat().st_mode) == 0o700


def test_a_folder_that_everyone_writes_into_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o1777)
    process = up(home)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "all users of the machine write into" in said and "Traceback" not in said
    assert list(home.iterdir()) == [] and stat.S_IMODE(home.stat().st_mode) == 0o1777


def test_it_starts_again_after_a_kill(tmp_path: Path) -> None:
    with running_stack(tmp_path / "home") as first:
        first.process.kill()
        wait_until_gone(first.home)
    with running_stack(tmp_path / "home") as second:
        assert httpx.get(second.url, follow_redirects=True).status_code == 200


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = up(tmp_path / "home", "--port", str(port))
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Port {port} on 127.0.0.1 is not free" in said
    assert f"--port {port + 1}" in said
    assert "Traceback" not in said


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    process = up(blocked / "home")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"The data folder {blocked / 'home'} cannot be written" in said
    assert "Traceback" not in said


def test_a_long_data_folder_still_gets_its_socket(tmp_path: Path) -> None:
    with running_stack(tmp_path / ("long" * 30)) as running:
        assert httpx.get(running.url, follow_redirects=True).status_code == 200


def test_the_environment_of_a_person_has_nothing_of_ours() -> None:
    assert not any(name.startswith("GRAFTWORK_") for name in environment_of_a_person())


IGNORES_CTRL_C = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", sys.executable, "-c"]
SAYS_WHAT_A_CHILD_HAS = """
import subprocess, sys
from tests.processes import hear_ctrl_c
hear_ctrl_c()
child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
subprocess.run([sys.executable, "-c", child])
"""


def test_what_tests_start_hears_ctrl_c_though_they_were_started_without() -> None:
    """As by `nohup python -m tests &` of a script."""
    process = subprocess.run([*IGNORES_CTRL_C, SAYS_WHAT_A_CHILD_HAS], cwd=PROJECT, capture_output=True, text=True)
    assert process.stdout.strip() == "True", process.stderr


def test_a_package_of_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the installed metadata, so that no second list can go stale."""
    assert missing_packages() == []

    def version(name: str) -> str:
        if name == "peft":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(local_stack, "version", version)
    assert missing_packages() == ["peft"]
    with pytest.raises(CannotStart, match=r"Missing here: peft\. Install it: .* -m pip install -e '\.\[train\]'"):
        local_stack._check_packages()
