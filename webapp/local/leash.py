"""`python -m webapp.local.leash COMMAND...`: runs a command that ends when whoever started it ends, however that is.

Standard input is a pipe whose other end the launcher holds. When it closes (the launcher closed it, or died), the
command is asked to end, and killed with all it started if it has not after a while. Works wherever pipes do, and for
commands that know nothing of it.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 7.0


def main(command: list[str]) -> int:
    """Exit code of the command."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_launcher, args=[child], daemon=True).start()
    return child.wait()


def _end_with_launcher(child: subprocess.Popen[bytes]) -> None:
    # Read past Python's buffered stdin: its lock, held here for ever, would abort the interpreter when the command
    # ends by itself and its exit code is to be handed on.
    while os.read(0, 64):
        pass
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
