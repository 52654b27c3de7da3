"""`python -m worker.base_models.hub DIR`: look at a model of the Hub, or fetch it, as DIR/request.json asks.

The first line of standard input is the person's token, maybe empty; what follows is the supervisor's control pipe. No
other process of ours gets the token, and it is in no file, argument or variable. Exit codes as in `engine/child.py`.
"""

import argparse
import os
import shutil
import sys
from functools import partial
from pathlib import Path

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from webapp.contract.errand_dir import ANSWER, REQUEST
from webapp.contract.events import PhaseMoved, append_event
from webapp.contract.hub import FetchedModel, HubLook, HubRequest
from webapp.contract.job_dir import EVENTS
from worker.base_models.hub_fetch import fetch
from worker.base_models.hub_look import look_at
from worker.engine.child import exit_code_of
from worker.engine.stop import control_pipe

_LONGEST_TOKEN = 1_000


def answer(request: HubRequest, token: str, folder: Path) -> HubLook | FetchedModel:
    """`folder` is the child's own; what is looked at may lie in it. Raises HubRefusal."""
    if request.wants == "fetch":
        return fetch(request, token, folder, partial(_tell, folder))
    place = Path(request.folder)
    place.mkdir(parents=True, exist_ok=True)
    return look_at(request, token, folder, shutil.disk_usage(place).free)


def _tell(folder: Path, sentence: str, done: int, total: int) -> None:
    moved = PhaseMoved(phase="preparing", sentence=sentence, done=done, total=total, unit="bytes")
    append_event(folder / EVENTS, moved)


def _first_line() -> str:
    """Byte by byte past Python's own buffer, which would swallow the first orders that follow."""
    said = b""
    while (letter := os.read(0, 1)) not in (b"", b"\n") and len(said) < _LONGEST_TOKEN:
        said += letter
    return said.decode("ascii")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.base_models.hub", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    token = _first_line()
    control_pipe()

    def work() -> None:
        request = HubRequest.model_validate_json((folder / REQUEST).read_text())
        (folder / ANSWER).write_text(answer(request, token, folder).model_dump_json())

    return exit_code_of(work, partial(append_event, folder / EVENTS))


if __name__ == "__main__":
    sys.exit(main())
