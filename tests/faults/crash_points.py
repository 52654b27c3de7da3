"""Dies at every single point of a commit to the disk, one after the other, and lets the caller look at what is left.

    died = crash_points("tests.engine.commits:save_checkpoint", root, prepare=lay_out, check=is_still_whole)

The function, named "module:function", is called with the folder in a process of its own. A point is each time it is
about to open a file below the folder for writing, make, rename, link or remove one, or bring one to the disk (fsync);
there the power fails: the process ends at once, and what was written but not brought to the disk is cut to half, for
without the fsync nobody promised more. So it is with the function's own end: a file it forgot to sync is torn then.

Run as a program it is that process: it imports the module once and forks for every point, so that a module that
takes seconds to import is no hindrance.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
DIED = 77
MOST_POINTS = 1_000

POINT = "graftwork.tests.point"
"""What a function may audit itself, naming the folder: a moment that touches no file by Python's hand."""
PATH_EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", POINT}
"""Audit events that change what their first or second argument names."""


def crash_points(
    function: str, root: Path, *, prepare: Callable[[], None], check: Callable[[int], None], **environment: str
) -> int:
    """How many points there are. `prepare` lays `root` out before each; `check` is told at which point it died.

    Ends when the function reaches its own end; then too `check` is called, with 0.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crash_points", function],
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    with server:
        for point in range(1, MOST_POINTS):
            prepare()
            server.stdin.write(json.dumps([str(root), point]) + "\n")
            server.stdin.flush()
            exit_code = json.loads(server.stdout.readline() or '"the process is gone"')
            assert exit_code in (0, DIED), f"point {point} of {function}: {exit_code}"
            check(point if exit_code == DIED else 0)
            if exit_code == 0:
                server.stdin.close()
                return point - 1
    raise AssertionError(f"{function} never ends")


def serve(function: str) -> None:
    """Answer each line [root, point] with the exit code of a fork that was to die at the point."""
    module, _colon, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        root, point = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(work, Path(root), point)
        _pid, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)  # noqa: T201


def _run(work: Callable[[Path], Any], root: Path, point: int) -> None:
    # What the function prints must not be taken for an answer.
    os.dup2(2, 1)
    power = Power(point, root := root.resolve())
    try:
        power.watch()
        work(root)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    power.fail(0)


class Power:
    """Counts the points down and fails at the last one. Knows which files below the root have not been synced."""

    def __init__(self, point: int, root: Path) -> None:
        self.left, self.root = point, root
        self.unsynced: set[Path] = set()

    def watch(self) -> None:
        self.real_fsync = os.fsync
        os.fsync = self.fsync
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self.opened(arguments)
        elif event in PATH_EVENTS:
            paths = _paths(arguments)
            if any(path.is_relative_to(self.root) for path in paths):
                self.pass_point()
                if event == "os.rename":
                    self.renamed(*paths)

    def opened(self, arguments: tuple[Any, ...]) -> None:
        path, _mode, flags = arguments
        is_writing = bool(flags & (os.O_WRONLY | os.O_RDWR)) and isinstance(path, str | os.PathLike)
        if is_writing and Path(path).is_relative_to(self.root):
            self.pass_point()
            self.unsynced.add(Path(path))

    def renamed(self, old: Path, new: Path) -> None:
        below = {path for path in self.unsynced if path.is_relative_to(old)}
        self.unsynced = self.unsynced - below | {new / path.relative_to(old) for path in below}

    def fsync(self, file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(self.root):
            self.pass_point()
        self.real_fsync(file)
        self.unsynced.discard(path)

    def pass_point(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.fail(DIED)

    def fail(self, exit_code: int) -> None:
        """What was not synced is half there."""
        for path in self.unsynced:
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)
        os._exit(exit_code)


def _paths(arguments: tuple[Any, ...]) -> list[Path]:
    """Whole paths; rmtree names what it removes from within its folder, by the folder's descriptor."""
    is_within = isinstance(arguments[-1], int) and arguments[-1] > 0
    folder = Path(f"/proc/self/fd/{arguments[-1]}").readlink() if is_within else Path()
    return [folder / os.fsdecode(path) for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]


if __name__ == "__main__":
    serve(sys.argv[1])
