"""One running stack a data folder. The lock goes with its process; the file tells who holds it."""

import fcntl
import json
import os
from pathlib import Path
from typing import IO, NamedTuple


class Holder(NamedTuple):
    pid: int
    url: str


class AlreadyRunning(Exception):
    def __init__(self, holder: Holder) -> None:
        super().__init__(f"Graftwork is already running at {holder.url} (process {holder.pid}).")
        self.holder = holder


def lock_take(path: Path, url: str) -> IO[str]:
    """Hold the returned file open for as long as the stack runs. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise AlreadyRunning(Holder(**json.load(file))) from None
    file.truncate(0)
    json.dump({"pid": os.getpid(), "url": url}, file)
    file.flush()
    return file
