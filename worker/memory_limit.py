"""How much memory this process may use: the machine's, or less where a container or service was given a limit."""

from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")


def memory_limit_bytes(root: Path = _CGROUPS) -> int:
    physical = int(psutil.virtual_memory().total)
    limit = _number(root / "memory.max") or _number(root / "memory" / "memory.limit_in_bytes")
    return min(limit, physical) if limit else physical


def memory_used_bytes(limit_bytes: int, root: Path = _CGROUPS) -> int:
    """Of the limit, or of the machine where there is none. Files kept in memory do not count: they give way."""
    memory = psutil.virtual_memory()
    if limit_bytes >= memory.total:
        return int(memory.total - memory.available)
    for current, stat in (
        (root / "memory.current", root / "memory.stat"),
        (root / "memory" / "memory.usage_in_bytes", root / "memory" / "memory.stat"),
    ):
        used = _number(current)
        if used is not None:
            return max(0, used - _inactive_file(stat))
    return int(min(memory.total - memory.available, limit_bytes))


def _number(path: Path) -> int | None:
    """None also where it says "max": no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _inactive_file(stat: Path) -> int:
    try:
        lines = dict(line.split() for line in stat.read_text().splitlines())
        return int(lines.get("total_inactive_file") or lines.get("inactive_file") or 0)
    except (OSError, ValueError):
        return 0
