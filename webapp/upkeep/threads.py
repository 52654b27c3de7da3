"""The threads that keep things up, in every web and worker process: sweep, outbox of webhooks, scrub, tidying.

Which process does the work, the database decides; that many could is what makes it certain that one does.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection

from webapp.clock import database_now
from webapp.upkeep.scrub import scrub
from webapp.upkeep.sweep import Sweeper
from webapp.upkeep.tidy import tidy
from webapp.webhooks.services import notices_deliver

log = logging.getLogger(__name__)

DELIVER_SECONDS = 5.0
SCRUB_SECONDS = TIDY_SECONDS = 600.0


class Upkeep:
    """`start` and `stop` once each."""

    def __init__(self) -> None:
        self._over = threading.Event()
        sweeper = Sweeper(f"{socket.gethostname()}:{os.getpid()}")
        self._threads = [
            self._thread("sweep", sweeper.sweep, settings.TIMING.sweep),
            self._thread("scrub", lambda: scrub(database_now()), SCRUB_SECONDS),
            self._thread("tidy", lambda: tidy(database_now()), TIDY_SECONDS),
            self._thread("deliver", lambda: notices_deliver(database_now()), DELIVER_SECONDS),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()

    def _thread(self, name: str, work: Callable[[], object], every: float) -> threading.Thread:
        return threading.Thread(target=self._again_and_again, args=[work, every], name=name, daemon=True)

    def _again_and_again(self, work: Callable[[], object], every: float) -> None:
        # At once for the first time: an outage that begins before any sweep would not be seen as one afterwards.
        while True:
            try:
                work()
            except Error as error:
                log.warning("The database is away; looking again in %g s: %s", every, error)
            except Exception:
                log.exception("upkeep")
            finally:
                # No connection is held between two looks: it may be broken the next time.
                connection.close()
            if self._over.wait(every):
                return
