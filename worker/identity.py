"""Who this worker process is: found out once at its start, by what it was told or by the host's name."""

import logging
import os
import socket
import time

from django.core.exceptions import ValidationError
from django.db import Error, connection

from webapp.workers.models import Worker
from webapp.workers.rules import Refused, name_from_host
from webapp.workers.services import worker_register
from worker.devices import devices, num_cores

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 3.0


def host_name() -> str:
    return socket.gethostname()


def identify() -> Worker:
    """Register this process; waits for a database that is away or not laid out yet. Raises Refused."""
    found = devices()
    while True:
        try:
            return worker_register(
                name=_name(), host=host_name(), pid=os.getpid(), devices=found, num_cores=num_cores()
            )
        except Error as error:
            log.warning("Waiting for the database: %s", str(error).strip().split("\n")[0])
            connection.close()
            time.sleep(LOOK_AGAIN_SECONDS)


def _name() -> str:
    """A joined worker has an id; any other one a name."""
    worker_id = os.environ.get("GRAFTWORK_WORKER_ID")
    if not worker_id:
        return os.environ.get("GRAFTWORK_WORKER_NAME") or name_from_host(host_name())
    try:
        return Worker.objects.values_list("name", flat=True).get(id=worker_id)
    except (Worker.DoesNotExist, ValidationError) as error:
        raise Refused(
            f"The app knows no worker with the id {worker_id}. Join again with a token from the page Workers."
        ) from error
