"""`python -m worker.engine.stand_by [--like JOB_DIR] [--speed FILE]`: the engine with its imports done, until a line on
standard input names a job's folder. From then on it is as if it had been started for that job; see
`worker/standby.py`."""

import argparse
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path

from webapp.contract.events import append_event
from webapp.contract.job_dir import EVENTS, LOG
from worker.engine.__main__ import run
from worker.engine.stop import control_pipe_of_a_job


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.engine.stand_by", description=__doc__)
    parser.add_argument("--like", type=Path, help="a job whose next one may be like it")
    parser.add_argument("--speed", type=Path, help="a file to be told how fast the processor is")
    asked = parser.parse_args()
    like: Path | None = asked.like
    named, wanted = control_pipe_of_a_job()
    # Imported only now, since it takes seconds and a vanished worker must be noticed meanwhile.
    from worker.engine.rehearsal import give_back_memory, rehearse
    from worker.engine.speed import measure_speed

    if asked.speed is not None and not named.done():
        _tell(asked.speed, measure_speed())
    if like is not None and not named.done():
        try:
            rehearse(like, lambda: "cancel" if named.done() else "go_on")
        except Exception:
            # The job may be gone, or be one that cannot be trained at all; that is nothing to the next one.
            traceback.print_exc()
        give_back_memory()
    job_dir = Path(named.result())
    _speak_into(job_dir / LOG)
    return run(job_dir, wanted, partial(append_event, job_dir / EVENTS))


def _tell(path: Path, flops_a_second: float) -> None:
    """All of it at once, for it is looked for meanwhile. A full disk is no reason not to stand by."""
    aside = path.with_suffix(".partial")
    with suppress(OSError):
        aside.write_text(f"{flops_a_second:.3g}\n")
        aside.rename(path)


def _speak_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
