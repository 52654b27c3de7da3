"""`celery -A worker.app worker`: boots Django, then hangs our tasks on the Celery app. The only place that boots."""

import os
import threading
from typing import Any

import django
from celery.signals import worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django.setup()

from webapp.celery import app, wake_workers  # noqa: E402
from worker import tasks  # noqa: E402

__all__ = ["app"]

LOOK_AGAIN_SECONDS = 15


@worker_ready.connect
def _look_for_work(**_: Any) -> None:
    """Wake ourselves now and again: for jobs from before our start, lost wake-ups, and workers that vanished."""
    threading.Thread(target=_wake_now_and_again, daemon=True).start()


@worker_shutting_down.connect
def _stop_training(**_: Any) -> None:
    tasks.SHUTTING_DOWN.set()


def _wake_now_and_again() -> None:
    while not tasks.SHUTTING_DOWN.is_set():
        wake_workers()
        tasks.SHUTTING_DOWN.wait(LOOK_AGAIN_SECONDS)
