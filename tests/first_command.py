"""The README's first command, to the letter, as a newcomer runs it: a fresh clone, a fresh folder, no test packages.

`python -m tests` starts it beside the tests and waits for it at the end. It takes pip's cache and its settings from
the machine, and nothing else of the environment. `python -m tests.first_command [COMMIT]` runs it alone.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME")
KEPT_PREFIXES = ("PIP_", "SSL_CERT", "http", "https", "no_proxy", "HTTP", "HTTPS", "NO_PROXY")
"""What pip needs to reach an index and its cache."""


def first_command(readme: str) -> str:
    """Returns the README's first block of shell."""
    return re.findall(r"```sh\n(.*?)\n```", readme, re.DOTALL)[0]


def newcomers_environment() -> dict[str, str]:
    """Returns what a shell has that knows nothing of this project: no virtual environment, no settings of ours."""
    environment = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    own = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join(one for one in os.environ["PATH"].split(os.pathsep) if one != own)
    return environment


class FirstCommand:
    """The command, running since it was made; `finish` waits for it."""

    def __init__(self, commit: str = "HEAD") -> None:
        self._began = time.time()
        self._folder = Path(tempfile.mkdtemp(prefix="graftwork-first-"))
        clone, self._log = self._folder / "clone", self._folder / "output.txt"
        git = ["git", "-c", "advice.detachedHead=false"]
        subprocess.run([*git, "clone", "-q", "--no-hardlinks", str(PROJECT), str(clone)], check=True)
        subprocess.run([*git, "-C", str(clone), "checkout", "-q", self._commit(commit)], check=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", first_command((clone / "README.md").read_text())],
                cwd=clone,
                env=newcomers_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self) -> tuple[int, float, str]:
        """Returns the exit code, the seconds it took, and what it printed. Leaves nothing behind."""
        code = self._process.wait()
        # It may have ended long before the tests beside it: its last word tells when.
        seconds = self._log.stat().st_mtime - self._began
        output = self._log.read_text("utf-8", errors="replace")
        self.remove()
        return code, seconds, output

    def remove(self) -> None:
        """Ends what may still run, and deletes the clone."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @staticmethod
    def _commit(name: str) -> str:
        words = ["git", "-C", str(PROJECT), "rev-parse", name]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def outcome(code: int, seconds: float, output: str) -> str:
    """Returns what there is to say of the command: its time, and where it failed all that it printed."""
    if code == 0:
        return f"The README's first command, in a fresh clone beside the tests: exit 0 after {seconds:.0f} s."
    return f"{output}\nFAILED: the README's first command ended with {code} in a fresh clone after {seconds:.0f} s."


if __name__ == "__main__":
    found = FirstCommand(*sys.argv[1:2]).finish()
    print(outcome(*found))  # noqa: T201
    sys.exit(found[0])
