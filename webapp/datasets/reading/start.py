"""The web process's side of reading a file: starts the child, one an upload and few at once, and sees how far it is."""

import contextlib
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from webapp import storage
from webapp.contract.rows import RowProblem
from webapp.datasets.mapping import Mapping, mapping_guess
from webapp.datasets.models import Upload
from webapp.datasets.reading.child import NO_ROOM, NOT_WANTED, OUT_OF_MEMORY
from webapp.datasets.reading.folder import Progress, ReadingFolder, TableFacts
from webapp.datasets.reading.work import Request, answer
from webapp.datasets.rows_check import RowsCheck

log = logging.getLogger(__name__)

NUM_AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Over all web processes of this machine: half of the cores stay for pages."""
MAX_MEMORY_BYTES = 2_000_000_000
CPU_SECONDS, CPU_SECONDS_A_MB = 120, 2
WALL_FACTOR = 5
"""As many times its computing time the child may take on a busy machine."""
LOOK_EVERY_SECONDS = 0.05
KEPT_UNUSED = timedelta(days=7)

_PROJECT_DIR = Path(__file__).resolve().parents[3]
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""What the child takes over of ours: nothing in which a secret may stand."""


class Reading(NamedTuple):
    """What is known of an upload by now. Without `facts`, or without `check` where a mapping was asked for, the child
    is still at it, unless `failure` says why it ended."""

    facts: TableFacts | None
    check: RowsCheck | None
    failure: RowProblem | None
    progress: Progress


def folder_of(upload: Upload) -> ReadingFolder:
    return ReadingFolder(storage.upload_reading_dir(upload.id))


def reading_of(upload: Upload, mapping: Mapping | None = None, *, wait: float = 0) -> Reading:
    """The table of an upload, and the check of a mapping if one is given. Starts the child if it is needed, and waits
    for it up to so many seconds."""
    deadline = time.monotonic() + wait
    while not _ensure(upload, mapping) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_SECONDS)
    return _known(upload, mapping)


def reading_here(upload: Upload, mapping: Mapping | None) -> Reading:
    """The same in this process, at once: only for files that are our own."""
    folder_of(upload).path.mkdir(parents=True, exist_ok=True)
    answer(_request(upload, mapping))
    return _known(upload, mapping)


def reading_retry(upload: Upload) -> None:
    """Forget why the child ended, so that it is started again."""
    folder_of(upload).failure_forget()


def reading_forget(upload_id: UUID) -> None:
    """Remove all that is known. A child that is still at it finds its folder gone, and ends."""
    path = storage.upload_reading_dir(upload_id)
    gone = path.with_suffix(".gone")
    storage.folder_delete(gone)
    with contextlib.suppress(FileNotFoundError):
        path.rename(gone)
    storage.folder_delete(gone)


def old_readings_remove(now: datetime) -> list[Path]:
    """Of uploads that nobody looked at for days: what was read is made again when it is needed. Returns the folders."""
    old = (now - KEPT_UNUSED).timestamp()
    folders = storage.uploads_dir().glob("*.reading")
    unused = [path for path in folders if (path / "lock").exists() and (path / "lock").stat().st_mtime < old]
    for path in unused:
        reading_forget(UUID(path.stem))
    return unused


def _known(upload: Upload, mapping: Mapping | None) -> Reading:
    folder = folder_of(upload)
    facts = folder.facts()
    check = folder.check(mapping) if facts and mapping else None
    return Reading(facts, check, folder.failure(mapping), folder.progress())


def _has_ended(reading: Reading, mapping: Mapping | None) -> bool:
    if reading.failure:
        return True
    if reading.facts is None:
        return False
    return bool(reading.facts.refusal) or mapping is None or reading.check is not None


def _ensure(upload: Upload, mapping: Mapping | None) -> bool:
    """True once there is a result. Else a child is at work for this upload, started now or before by any process.

    Of mappings chosen one after the other only the latest is asked for again once the child is free, so those in
    between cost nothing.
    """
    folder = folder_of(upload)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.lock_path.touch()
    lock = _locked(folder.lock_path)
    if lock is None:
        return folder.may_have_result(mapping) and _has_ended(_known(upload, mapping), mapping)
    if _has_ended(_known(upload, mapping), mapping):
        os.close(lock)
        return True
    request = _request(upload, mapping)
    # What is written there tells of the child before.
    folder.progress_write(Progress())
    threading.Thread(target=_run, args=[folder, request, lock], name="reading", daemon=True).start()
    return False


def _request(upload: Upload, mapping: Mapping | None) -> Request:
    size = upload.path.stat().st_size
    return Request(
        folder=folder_of(upload).path,
        file=upload.path,
        file_name=upload.file_name,
        mapping=mapping,
        max_memory_bytes=MAX_MEMORY_BYTES,
        cpu_seconds=CPU_SECONDS + CPU_SECONDS_A_MB * size // 1_000_000,
        max_file_bytes=100_000_000 + 3 * size,
    )


def _run(folder: ReadingFolder, request: Request, lock: int) -> None:
    try:
        with _slot() as slot:
            if not folder.path.exists():
                return
            code = _child_run(folder, request, (lock, slot))
        if code not in (0, NOT_WANTED):
            log.error("reading %s ended with %s: %s", request.file, code, _last_words(folder))
            facts = folder.facts()
            mapping = request.mapping or mapping_guess(facts.columns) if facts else None
            folder.failure_write(mapping, _problem_of(code, request))
    except FileNotFoundError:
        log.info("%s was removed while it was read", request.file)
    finally:
        os.close(lock)


def _child_run(folder: ReadingFolder, request: Request, locks: tuple[int, ...]) -> int:
    """The child's exit code. It holds the locks as well, so that it has no successor before it has ended."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with folder.log_path.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "webapp.datasets.reading.child"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            cwd=_PROJECT_DIR,
            env={**environment, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            pass_fds=locks,
        )
    assert child.stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(request.model_dump_json().encode() + b"\n")
            child.stdin.flush()
        return child.wait(WALL_FACTOR * request.cpu_seconds)
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


@contextlib.contextmanager
def _slot() -> Iterator[int]:
    """One of the places for a child on this machine, once it is free."""
    storage.run_dir().mkdir(parents=True, exist_ok=True)
    while True:
        for number in range(NUM_AT_ONCE):
            slot = _locked(storage.run_dir() / f"reading-{number}.lock")
            if slot is not None:
                try:
                    yield slot
                finally:
                    os.close(slot)
                return
        time.sleep(LOOK_EVERY_SECONDS)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed, also by a crash; None if another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _last_words(folder: ReadingFolder) -> str:
    return folder.log_path.read_text(errors="replace")[-2000:]


def _problem_of(code: int, request: Request) -> RowProblem:
    again = "Try again."
    smaller = "Try again, or upload a part of the rows."
    why, hint = {
        OUT_OF_MEMORY: (f"it needs more than {MAX_MEMORY_BYTES / 1e9:g} GB of memory", smaller),
        NO_ROOM: ("the disk of this installation is full", "Ask an admin to free some space, then try again."),
        -signal.SIGXCPU: (f"it took more than {request.cpu_seconds} s of computing time", smaller),
        -signal.SIGKILL: ("the process was killed, most likely because memory ran out", again),
    }.get(code, ("the process ended unexpectedly; the log of the web server says why", again))
    return RowProblem(code="reading_stopped", message=f"Reading the file was stopped: {why}.", hint=hint)
