"""Doing a transaction again when the database faltered, without doing it twice."""

import logging
import random
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection

log = logging.getLogger(__name__)

PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each further try. Locks and failovers pass within them; a longer outage is the caller's to tell."""

GIVE_UP_SECONDS = 10.0
"""No further try after this: each may itself have waited long for a lock or a connection, and a page waits for us."""

DATABASE_AWAY = (OperationalError, InterfaceError)


def persistently(work: Callable[[], bool], *, is_done: Callable[[], bool]) -> bool:
    """`work` is one whole transaction; `is_done` tells whether an earlier try was committed although its caller saw
    an error. Inside an outer transaction there is one try, since only the outermost can be done again.

    Raises the database's error when the last try failed.
    """
    if connection.in_atomic_block:
        return work()
    began = time.monotonic()
    for number, pause in enumerate((*PAUSES, None)):
        try:
            return (number > 0 and is_done()) or work()
        except DATABASE_AWAY as error:
            # There always is a second look: the first try may have been committed before its caller saw an error.
            if pause is None or (number > 0 and time.monotonic() - began > GIVE_UP_SECONDS):
                raise
            log.warning("The database faltered, trying again: %s", error)
            # A broken connection stays broken until it is closed; the next query opens another.
            connection.close()
            time.sleep(pause * random.uniform(0.8, 1.2))
    raise AssertionError("unreachable")
