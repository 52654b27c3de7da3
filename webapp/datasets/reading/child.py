"""`python -m webapp.datasets.reading.child`: reads one uploaded file and checks one mapping, within limits.

What to do comes as one line of JSON on standard input, whose other end the web process holds: when it closes, this
process ends too. It knows no database and no Django, and is told nothing that is secret.
"""

import errno
import os
import resource
import signal
import sys
import threading

from webapp.datasets.reading.work import Request, answer

OUT_OF_MEMORY, NO_ROOM, NOT_WANTED = 3, 4, 5
"""Exit codes that say why."""
NICENESS = 10
"""Pages come first."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> int:
    request = Request.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    os.nice(NICENESS)
    limits = {
        resource.RLIMIT_AS: request.max_memory_bytes,
        resource.RLIMIT_CPU: request.cpu_seconds,
        resource.RLIMIT_FSIZE: request.max_file_bytes,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        # The kernel warns at the first, which ends us with a signal that says why, and kills at the second.
        resource.setrlimit(limit, (most, most + (limit == resource.RLIMIT_CPU)))
    try:
        answer(request)
    except MemoryError:
        return OUT_OF_MEMORY
    except FileNotFoundError:
        if request.folder.exists():
            raise
        return NOT_WANTED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return NO_ROOM
    return 0


def _end_with_launcher() -> None:
    # Read past Python's buffer, whose lock would be held here for ever.
    while os.read(0, 64):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
