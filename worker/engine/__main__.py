"""`python -m worker.engine JOB_DIR [--supervised]`: files in, files out. Exit codes as in `child.py`."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["USE_HUB_KERNELS"] = "0"

from webapp.contract.events import Event, append_event
from webapp.contract.job_dir import EVENTS
from worker.engine.child import exit_code_of
from worker.engine.errors import Stop, TrainingError
from worker.engine.inputs import options_of
from worker.engine.processes import Others, Seat, die_with_the_first, leave_at_once, seat_taken, wait_for_echo
from worker.engine.stop import Asking, control_pipe, never


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.engine", description=__doc__)
    parser.add_argument("job_dir", type=Path)
    parser.add_argument("--supervised", action="store_true", help="standard input is the supervisor's control pipe")
    parser.add_argument("--follows", action="store_true", help="started by the job's first process, as another of it")
    arguments = parser.parse_args()
    wanted = control_pipe() if arguments.supervised else never
    if arguments.follows:
        die_with_the_first()
    code = run(arguments.job_dir, wanted, partial(append_event, arguments.job_dir / EVENTS))
    return code if seat_taken().is_first else leave_at_once(code)


def run(job_dir: Path, wanted: Asking, report: Callable[[Event], None]) -> int:
    """The whole job, or what this process does of it. Returns the exit code."""
    return exit_code_of(partial(_gather_and_work, job_dir, wanted, report), report)


def _gather_and_work(job_dir: Path, wanted: Asking, report: Callable[[Event], None]) -> None:
    options, seat = options_of(job_dir), seat_taken()
    if seat.size > 1 or options.num_processes == 1:
        _work(job_dir, wanted, report, seat, is_sharded=options.is_sharded)
        return
    with closing(Others(job_dir, options.num_processes, report)) as others:
        _work(job_dir, wanted, report, others.seat, is_sharded=options.is_sharded)


def _work(job_dir: Path, wanted: Asking, report: Callable[[Event], None], seat: Seat, *, is_sharded: bool) -> None:
    # Imported only now, since it takes seconds and a vanished supervisor must be noticed meanwhile.
    from worker.engine.follow import follow
    from worker.engine.process_group import ProcessGroup
    from worker.engine.train import train
    from worker.engine.wait_policy import adapted_waiting

    try:
        group = ProcessGroup(seat, is_sharded=is_sharded)
        if group.is_first:
            with adapted_waiting(report):
                train(job_dir, wanted, report, group)
        else:
            with adapted_waiting(lambda _event: None):
                follow(job_dir, group)
    except Exception as error:
        if not (seat.is_first and isinstance(error, Stop | TrainingError)):
            wait_for_echo(seat)
        raise


if __name__ == "__main__":
    sys.exit(main())
