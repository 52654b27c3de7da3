"""`celery -A worker.app worker`: boots Django, hangs our task on the Celery app, and runs the slots beside it.

Celery brings the wake-ups and the signals of the process's life; everything else works without the broker.
"""

import logging
import os
import sys
from typing import Any

import django
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down
from celery.worker import state
from django.db import Error, connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from webapp.celery import app  # noqa: E402
from webapp.errands.attempts import worker_errands_release  # noqa: E402
from webapp.jobs.endings import worker_jobs_release  # noqa: E402
from webapp.upkeep.threads import Upkeep  # noqa: E402
from webapp.workers.models import Intent, Worker  # noqa: E402
from webapp.workers.rules import Refused  # noqa: E402
from worker.broker_garbage import garbage_refuse  # noqa: E402
from worker.errands import Errands  # noqa: E402
from worker.identity import identify  # noqa: E402
from worker.memory_kills import memory_kills_note, memory_kills_since_note  # noqa: E402
from worker.presence import Presence  # noqa: E402
from worker.slots import Slots, memory_note_path  # noqa: E402
from worker.tasks import BELL  # noqa: E402

__all__ = ["app"]

garbage_refuse()

EXIT_REFUSED = 78
"""EX_CONFIG of sysexits.h: starting again changes nothing until somebody changes something."""

log = logging.getLogger(__name__)


class _Process:
    """What runs in this worker process beside Celery."""

    slots: Slots | None = None
    errands: Errands | None = None
    presence: Presence | None = None
    upkeep: Upkeep | None = None


@celeryd_after_setup.connect
def _start(**_: Any) -> None:
    """Before Celery looks for its broker, which may be away for hours."""
    try:
        worker = identify()
        log.info("worker %s with %s slots", worker.name, worker.slots)
        _release_what_was_left(worker)
        _begin(worker)
    except Refused as error:
        log.error("%s", error)
        sys.exit(EXIT_REFUSED)
    except Exception:
        # Celery only notes what flies out of a signal, and would go on as a worker without slots.
        log.exception("the worker cannot start")
        sys.exit(1)


def _release_what_was_left(worker: Worker) -> None:
    note = memory_note_path(worker)
    try:
        worker_jobs_release(worker, memory_ran_out=memory_kills_since_note(note) > 0)
        worker_errands_release(worker)
    except Error as error:
        log.warning("what this worker held is left to the leases, the database is away: %s", error)
        connection.close()
    memory_kills_note(note)


def _begin(worker: Worker) -> None:
    _Process.slots = Slots(worker)
    _Process.errands = Errands(worker)
    BELL.extend([_Process.slots.ring, _Process.errands.ring])
    _Process.presence = Presence(worker.id, _follow)
    _Process.presence.start()
    _Process.upkeep = Upkeep()
    _Process.upkeep.start()
    _Process.errands.start()


def _follow(worker: Worker) -> None:
    assert _Process.slots is not None
    _Process.slots.follow(worker)
    if worker.intent == Intent.RETIRED and not _Process.slots.is_leaving.is_set():
        log.warning("this worker was retired; it hands back what it runs and ends")
        _leave()
        # As Celery's own handler of SIGTERM does. The signal itself would kill us where Celery listens to none yet.
        state.should_stop = os.EX_OK  # type: ignore[assignment]  # None until then


@worker_shutting_down.connect
def _leave(**_: Any) -> None:
    for threads in (_Process.slots, _Process.errands):
        if threads is not None:
            threads.leave()


@worker_shutdown.connect
def _end(**_: Any) -> None:
    """Celery has let go of the broker; now the jobs' last words, then ours."""
    _leave()
    for threads in (_Process.errands, _Process.slots):
        if threads is not None:
            threads.join()
    if _Process.upkeep is not None:
        _Process.upkeep.stop()
    if _Process.presence is not None:
        _Process.presence.stop()
