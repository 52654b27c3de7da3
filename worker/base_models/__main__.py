"""`python -m worker.base_models MODEL_ID FOLDER --events FILE [--supervised]`: make a starter model ready.

Exit codes as in `worker/engine/child.py`.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from webapp.contract.base_models import STARTERS
from webapp.contract.events import append_event
from worker.base_models.prepare import prepare
from worker.engine.child import exit_code_of
from worker.engine.stop import control_pipe


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.base_models", description=__doc__)
    parser.add_argument("model_id", choices=STARTERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--supervised", action="store_true", help="standard input is the supervisor's control pipe")
    arguments = parser.parse_args()
    if arguments.supervised:
        control_pipe()
    report = partial(append_event, arguments.events)
    starter = STARTERS[arguments.model_id]
    return exit_code_of(lambda: prepare(starter, arguments.folder, report), report)


if __name__ == "__main__":
    sys.exit(main())
