"""A worker's heart: one thread that shows every few seconds that the process lives, and hears what the admin wants."""

import logging
import os
import threading
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import Error, connection

from webapp.workers.models import Intent, Worker
from webapp.workers.services import worker_goodbye, worker_heartbeat
from worker.devices import load
from worker.identity import host_name

log = logging.getLogger(__name__)

JOIN_SECONDS = 2.0
"""A beat that hangs on the database does not hold up the end of the process for longer."""


class Presence:
    """`on_change` gets the fresh row after each beat, the first right at the start; also of a retired worker."""

    def __init__(self, worker_id: UUID, on_change: Callable[[Worker], None]) -> None:
        self.worker_id = worker_id
        self.on_change = on_change
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye. Without a database the row simply grows old."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        # Twice, since this thread's connection may be from before an outage that the beats have outlived.
        for _ in range(2):
            try:
                return worker_goodbye(self.worker_id, host=host_name(), pid=os.getpid())
            except Error as error:
                log.warning("No goodbye: %s", str(error).strip().split("\n")[0])
                connection.close()

    def _beat_on(self) -> None:
        worker: Worker | None = None
        try:
            while not self._ends.is_set():
                worker = self._beat(worker)
                self._ends.wait(settings.TIMING.heartbeat)
        finally:
            connection.close()

    def _beat(self, last: Worker | None) -> Worker | None:
        """One beat; the row as last seen. A database that is away, or a callback that trips, stops no heart."""
        try:
            last = last or Worker.objects.filter(id=self.worker_id).first()
            figures = load(last.devices if last else (), data_dir=settings.DATA_DIR)
            worker = worker_heartbeat(self.worker_id, figures, host=host_name(), pid=os.getpid())
            self.on_change(worker or self._superseded(last))
            return worker
        except Error as error:
            log.warning("No heartbeat, the database is away: %s", str(error).strip().split("\n")[0])
            connection.close()
        except Exception:
            log.exception("A heartbeat went wrong; the next one comes in %g s.", settings.TIMING.heartbeat)
        return last

    def _superseded(self, last: Worker | None) -> Worker:
        """While we could not be heard another process took our name: end as a retired one does."""
        log.error("Another process holds this worker's name now, or its row is gone. This process ends.")
        self._ends.set()
        worker = last or Worker(id=self.worker_id)
        worker.intent = Intent.RETIRED
        return worker
