"""How often the kernel ended a process of our control group because memory ran out. Linux; elsewhere always 0."""

import contextlib
import re
from pathlib import Path

_V2 = Path("/sys/fs/cgroup/memory.events")
_V1 = Path("/sys/fs/cgroup/memory/memory.oom_control")


def memory_kills() -> int:
    """Compare before and after: a child that went by SIGKILL while this grew was out of memory."""
    return max((_count(path) for path in (*_own_group(), _V2, _V1)), default=0)


def memory_kills_note(path: Path) -> None:
    """Write down how often it was by now, for the next process of this worker."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(memory_kills()))


def memory_kills_since_note(path: Path) -> int:
    """How often since then: more than 0 after memory ran out under a worker that did not live to tell. Where the
    group went with the worker, as some containers' does, there is nothing to be known."""
    try:
        return max(0, memory_kills() - int(path.read_text()))
    except (OSError, ValueError):
        return 0


def _own_group() -> list[Path]:
    """The files of the very group this process is in, where they can be seen."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _number, controllers, group = line.split(":", 2)
            if controllers == "":
                found.append(Path(f"/sys/fs/cgroup{group}/memory.events"))
                found.append(Path(f"/sys/fs/cgroup/unified{group}/memory.events"))
            elif "memory" in controllers.split(","):
                found.append(Path(f"/sys/fs/cgroup/memory{group}/memory.oom_control"))
    return found


def _count(path: Path) -> int:
    try:
        found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
