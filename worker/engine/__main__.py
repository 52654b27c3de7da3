"""`python -m worker.engine JOB_DIR [--supervised]`: files in, files out. Exit codes as in `child.py`."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["USE_HUB_KERNELS"] = "0"

from webapp.contract.events import append_event
from webapp.contract.job_dir import EVENTS
from worker.engine.child import exit_code_of
from worker.engine.stop import control_pipe, never


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.engine", description=__doc__)
    parser.add_argument("job_dir", type=Path)
    parser.add_argument("--supervised", action="store_true", help="standard input is the supervisor's control pipe")
    arguments = parser.parse_args()
    wanted = control_pipe() if arguments.supervised else never
    report = partial(append_event, arguments.job_dir / EVENTS)

    def work() -> None:
        # Imported only now, since it takes seconds and a vanished supervisor must be noticed meanwhile.
        from worker.engine.train import train

        train(arguments.job_dir, wanted, report)

    return exit_code_of(work, report)


if __name__ == "__main__":
    sys.exit(main())
