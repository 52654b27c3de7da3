"""Which processes belong to a data folder, and waiting until none does."""

import os
import time
from pathlib import Path

import psutil

GONE_SECONDS = 60


def processes_of(home: Path) -> list[psutil.Process]:
    """All processes whose data folder this is, however they are called."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("GRAFTWORK_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_until_gone(home: Path) -> None:
    began = time.monotonic()
    while processes_of(home) and time.monotonic() - began < GONE_SECONDS:
        time.sleep(0.1)
    assert processes_of(home) == []
