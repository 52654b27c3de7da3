"""Keeps a job's lease while its worker is busy with files."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error, connection

from webapp.jobs.attempts import job_renew
from webapp.jobs.models import Job


@contextmanager
def renewed(job: Job) -> Iterator[None]:
    """Inside, a thread renews the lease of the present attempt. If it could not, the attempt's last write says so."""
    over = threading.Event()
    mine = Job(id=job.id, attempt=job.attempt)
    thread = threading.Thread(target=_renew, args=[mine, over], daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(job: Job, over: threading.Event) -> None:
    while not over.wait(settings.TIMING.heartbeat):
        try:
            if not job_renew(job):
                break
        except Error:
            pass
        finally:
            connection.close()
