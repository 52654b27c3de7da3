"""A control group with a limit of memory, as a container has one. Linux, as root; version 1 or 2."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")

HOG = """
import sys, time
from pathlib import Path
victim, blocks = Path("/proc") / sys.argv[1] / "stat", []
while victim.exists() and victim.read_text().rpartition(")")[2].split()[0] != "Z":
    blocks.append(bytearray(b"1") * 4_000_000)
    time.sleep(0.002)
"""
"""Takes memory until the process of that id is gone."""


class MemoryGroup:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entering(self, *command: str) -> list[str]:
        """The command, run inside with all it starts."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh", *command]

    def hog_until_gone(self, pid: int) -> None:
        """Memory runs out, and the kernel takes this process first."""
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        subprocess.run(self.entering(sys.executable, "-c", HOG, str(pid)), timeout=60)


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Fails with a sentence where none can be made."""
    is_v1 = (_ROOT / "memory").is_dir()
    folder = _ROOT / ("memory" if is_v1 else "") / f"graftwork-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(limit_bytes))
    except OSError as error:
        raise AssertionError(f"This test needs root and a control group for memory, and got: {error}.") from error
    try:
        yield MemoryGroup(folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Its processes may need a moment to be gone."""
    for _ in range(50):
        with suppress(OSError):
            return folder.rmdir()
        time.sleep(0.1)
