"""The one door to every check: `python -m tests`.

`python -m tests` runs lint, types, walls, migrations, the tests, and those of jobs once more on PostgreSQL; both two
files at a time, as most wait for processes more than they compute. Beside them it runs the README's first command in
a fresh clone of the newest commit (`tests/first_command.py`).
`… slow` runs the minutes-long ones with real base models, `… faults [--seed N]` the fault matrix in full,
`… postgresql` what runs on PostgreSQL, `… interop` other libraries on what we write, in environments of their own.
Any other words go to pytest: `python -m tests -k split`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.first_command import FirstCommand, outcome

PROJECT = Path(__file__).resolve().parent.parent

CHECKS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "walls": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
    "migrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
}

ON_POSTGRESQL = [
    "tests/jobs",
    "tests/errands",
    "tests/workers",
    "tests/adapters",
    "tests/webhooks",
    "tests/upkeep",
    "tests/home",
]
"""What runs a second time, on the other database; tests that choose a database by themselves are not among them."""


TWO_AT_A_TIME = ["-n", "2", "--dist", "loadfile"]
"""Whole files, so that a stack or a trained job that a file's tests share is made once."""


def main(words: list[str]) -> int:
    """Exit code: 0 if all is well. All checks run, so that one look shows everything that is wrong."""
    if words == ["slow"]:
        return _pytest(["-m", "slow"])
    if words == ["interop"]:
        return _pytest(["-m", "interop", "tests/interop"])
    if words[:1] == ["faults"]:
        return _faults(words[1:])
    if words[:1] == ["postgresql"]:
        return _postgresql(words[1:])
    if words:
        return _pytest(words)
    _bring_browser()
    command = FirstCommand()
    try:
        return _everything(command)
    finally:
        command.remove()


def _everything(command: FirstCommand) -> int:
    failed = [name for name, command in CHECKS.items() if not _passes(name, command)]
    # Two that compute on all cores at once would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    codes = [_pytest(TWO_AT_A_TIME), _postgresql(TWO_AT_A_TIME)]
    found = command.finish()
    _say(outcome(*found))
    codes.append(found[0])
    if failed:
        _say(f"FAILED: {', '.join(failed)}")
    # A pytest that was killed has a negative code: also that is no pass.
    return 1 if failed or any(codes) else 0


def _faults(words: list[str]) -> int:
    """The fault matrix, short and full forms, about an hour; `--seed N` throws other dice, other words go to pytest."""
    if words[:1] == ["--seed"] and len(words) > 1:
        os.environ["GRAFTWORK_TEST_SEED"] = words[1]
        words = words[2:]
    return _pytest(["-m", "not gpu", "-rP", "tests/faults", *words])


def _postgresql(words: list[str]) -> int:
    from tests.databases import URL_VARIABLE, postgresql_server

    _say("== on PostgreSQL")
    os.environ[URL_VARIABLE] = postgresql_server()
    return _pytest([*ON_POSTGRESQL, *words])


def _passes(name: str, command: list[str]) -> bool:
    _say(f"== {name}")
    return subprocess.run([sys.executable, *command], cwd=PROJECT).returncode == 0


def _pytest(words: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *words], cwd=PROJECT).returncode


def _bring_browser() -> None:
    """Chromium and its driver from Debian, where that can be done; else one sentence says what is missing."""
    if shutil.which("chromium"):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"])
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "chromium", "chromium-driver"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
        )
    if not shutil.which("chromium"):
        _say("Chromium is missing, so the browser tests will fail: install it as root with `apt-get install chromium`.")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
