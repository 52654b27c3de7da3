"""Fetches a model of the Hub: every wanted file of one commit, checked before it gets its place. All of it or nothing.

What has come so far lies beside the place it is meant for, so that a killed or cancelled fetch goes on from there.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from webapp.contract.hub import FetchedModel, HubLook, HubRequest
from webapp.contract.model_config import NotABaseModel
from webapp.contract.model_folder import FolderReport, read_model_folder
from worker.base_models.hub_download import download
from worker.base_models.hub_look import look_at
from worker.base_models.hub_refusal import HubRefusal
from worker.base_models.settle import folder_settle
from worker.engine.child import FAILED

Tell = Callable[[str, int, int], None]
"""A sentence, and bytes of bytes for the bar."""

_TELL_SECONDS = 0.5
_CHECK_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")


def fetch(request: HubRequest, token: str, aside: Path, tell: Tell) -> FetchedModel:
    """`aside` is a folder for what is looked at. Raises HubRefusal. Of two processes one waits for the other."""
    folder = Path(request.folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _fetch(request, token, aside, tell)


def _fetch(request: HubRequest, token: str, aside: Path, tell: Tell) -> FetchedModel:
    folder = Path(request.folder)
    parts = folder.with_name(f"{folder.name}.partial")
    parts.mkdir(exist_ok=True)
    tell(f"Asking the Hub for {request.hub_id}.", 0, 0)
    come = sum(path.stat().st_size for path in parts.iterdir())
    look = look_at(request, token, aside, shutil.disk_usage(folder.parent).free + come)
    if folder.exists():
        shutil.rmtree(parts)
        return _fetched(look, read_model_folder(folder))
    if look.problem:
        raise HubRefusal("refused", look.problem)
    _download_all(look, token, parts, tell)
    tell(f"Checking {look.hub_id}: every number, and whether it loads.", look.size_bytes, look.size_bytes)
    try:
        report = _checked(parts)
    except NotABaseModel as error:
        shutil.rmtree(parts)
        raise HubRefusal("refused", str(error)) from error
    folder_settle(parts, folder)
    return _fetched(look, report)


def _fetched(look: HubLook, report: FolderReport) -> FetchedModel:
    return FetchedModel(look=look, shape=report.shape, has_chat_template=report.has_chat_template)


def _download_all(look: HubLook, token: str, parts: Path, tell: Tell) -> None:
    """Small files first: where access fails, it fails before the large ones."""
    meter = _Meter(look, tell)
    for file in sorted(look.files, key=lambda file: file.size_bytes):
        download(look, file, token, parts, meter.came)
        meter.before += file.size_bytes
    for name in {path.name for path in parts.iterdir()} - {file.name for file in look.files}:
        (parts / name).unlink()


class _Meter:
    """Bytes of one file become bytes of all, with the speed and the time left since this process began."""

    def __init__(self, look: HubLook, tell: Tell) -> None:
        self.look, self.tell = look, tell
        self.before = 0
        self.told_at = 0.0
        self.began: tuple[float, int] | None = None

    def came(self, of_file: int) -> None:
        now, done = time.monotonic(), self.before + of_file
        if now - self.told_at < _TELL_SECONDS and done < self.look.size_bytes:
            return
        self.told_at = now
        self.began = self.began or (now, done)
        speed = (done - self.began[1]) / max(now - self.began[0], 1e-3)
        total = self.look.size_bytes
        words = f"Fetching {self.look.hub_id}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB"
        if speed and done < total:
            words += f", {speed / 1e6:,.1f} MB a second, about {_duration((total - done) / speed)} to go"
        self.tell(f"{words}.", done, total)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _checked(folder: Path) -> FolderReport:
    """In a child that has neither the token nor the network's settings. Raises NotABaseModel."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.base_models.check", str(folder)],
        env={name: os.environ[name] for name in _CHECK_VARIABLES if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    words = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode == 0:
        return FolderReport.model_validate_json(words)
    if done.returncode == FAILED:
        raise NotABaseModel(words)
    raise NotABaseModel("Checking it took more memory or time than it may, or crashed. Such a model is not kept.")
