"""The threads that run errands, one a kind: a page's question waits neither for a busy slot nor for a long fetch."""

import logging
import threading

from django.conf import settings
from django.db import Error, connection

from webapp.errands.models import Kind
from webapp.workers.models import Worker
from worker.bell import Bell
from worker.errand_kinds import WAYS
from worker.errand_run import errand_take

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0


class Errands:
    """`start`, `leave` and `join` once each; `ring` when there may be work."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._bell = Bell()
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._serve, args=[kind], name=f"errands {kind}") for kind in WAYS]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def ring(self) -> None:
        self._bell.ring()

    def leave(self) -> None:
        """Hand back what runs and take nothing more."""
        self._leaving.set()
        self._bell.ring()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _serve(self, kind: Kind) -> None:
        # A view of the row of this thread's own: claiming brings it up to date.
        worker = Worker(id=self._worker.id, name=self._worker.name)
        while not self._leaving.is_set():
            rings_before = self._bell.num_rings
            pause = settings.TIMING.poll
            try:
                if errand_take(worker, kind, self._leaving.is_set):
                    continue
            except Error as error:
                log.warning("the database is away: %s", error)
                pause = LOOK_AGAIN_SECONDS
            except Exception:
                log.exception("errands %s", kind)
            finally:
                connection.close()
            self._bell.wait(rings_before, pause)
