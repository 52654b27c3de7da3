"""A slot is used by one process at a time, also across workers: a file lock that the training child inherits.

So nobody takes a GPU on which an orphan of a killed worker still computes: the lock is free when the last is gone.
"""

import fcntl
import os
import re
import tempfile
from pathlib import Path

from webapp import storage
from webapp.contract.devices import Device


def slot_lock_path(worker_name: str, number: int, device: Device) -> Path:
    """For a GPU one name on the whole machine, whoever uses it; for a share of the processor the worker's own."""
    if device.kind == "gpu":
        return Path(tempfile.gettempdir()) / f"graftwork-gpu-{re.sub('[^A-Za-z0-9-]', '', device.uuid)}.lock"
    return storage.run_dir() / f"slot-{worker_name}-{number}.lock"


def slot_lock_try(path: Path) -> int | None:
    """An open descriptor that holds the lock, to be closed by the caller; None while somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
