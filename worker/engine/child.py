"""How a child process of the supervisor ends: always with an exit code, and with an event that says why.

0 done, 3 stopped, 4 gave up and said why in the person's words; anything else is a crash.
"""

import traceback
from collections.abc import Callable

from webapp.contract.events import Event, Failed, Stopped
from worker.engine.errors import Stop, TrainingError, is_out_of_memory, is_storage_full

DONE, CRASHED, STOPPED, FAILED = 0, 1, 3, 4


def exit_code_of(work: Callable[[], None], report: Callable[[Event], None]) -> int:
    """Do the work; whatever flies out of it becomes an event, the traceback goes to the log."""
    try:
        work()
    except Stop as stop:
        _tell(Stopped(step=stop.step), report)
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        failed = failure_of(error)
        _tell(failed, report)
        return CRASHED if failed.code == "our_bug" else FAILED
    return DONE


def _tell(event: Event, report: Callable[[Event], None]) -> None:
    """On a full disk the last words may find no room; the exit code then stands for them, and the log has them."""
    try:
        report(event)
    except OSError:
        traceback.print_exc()


def failure_of(error: Exception) -> Failed:
    """What the person is told: their or the world's mistake in its own words, ours owned up to."""
    if isinstance(error, TrainingError):
        return Failed(code=error.code, message=error.message, evidence=error.evidence)
    evidence = f"{type(error).__name__}: {error}"[:500]
    if is_storage_full(error):
        message = "The disk is full. Free some space, then start again."
        return Failed(code="storage_full", message=message, evidence=evidence)
    if is_out_of_memory(error):
        message = "The memory ran out. Lower the batch size or the longest row, or choose a smaller base model."
        return Failed(code="out_of_memory", message=message, evidence=evidence)
    message = "Graftwork itself failed; this is not your mistake. The log below has the details for a bug report."
    return Failed(code="our_bug", message=message, evidence=evidence)
