"""Dies at every single point of a commit to the disk, one after the other, and lets the caller look at what is left.

    died = crash_points("tests.engine.commits:save_checkpoint", root, prepare=lay_out, check=is_still_whole)

The function, named "module:function", is called with the folder in a process of its own. A point is each time it is
about to open a file below the folder for writing, make, rename, link or remove one, or bring one to the disk (fsync);
there the process ends as if killed. A file that was about to be brought to the disk is cut to half first: without the
fsync nobody promised more.

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

PATH_EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"}
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
    exit_code = 1
    try:
        _die_at(point, str(root))
        work(root)
        exit_code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(exit_code)


def _die_at(point: int, root: str) -> None:
    left = point

    def pass_point() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        is_writing = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        is_moving = event in PATH_EVENTS and any(_is_below(path, root) for path in _paths(arguments))
        if (is_moving or (is_writing and _is_below(arguments[0], root))) and pass_point():
            os._exit(DIED)

    sys.addaudithook(hook)
    real_fsync = os.fsync

    def fsync(file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if _is_below(path, root) and pass_point():
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)
            os._exit(DIED)
        real_fsync(file)

    os.fsync = fsync


def _paths(arguments: tuple[Any, ...]) -> list[Any]:
    """Whole paths; rmtree names what it removes from within its folder, by the folder's descriptor."""
    descriptor = arguments[-1]
    is_within = isinstance(descriptor, int) and descriptor > 0
    folder = Path(f"/proc/self/fd/{descriptor}").readlink() if is_within else Path()
    return [folder / os.fsdecode(path) for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]


def _is_below(path: Any, root: str) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    return os.fsdecode(path).startswith(root)


if __name__ == "__main__":
    serve(sys.argv[1])
