"""The Celery app. The web sends wake-ups by name, the worker listens; no task code stands here.

Settings as in the decision log: a message is only "there may be work", so it is not acknowledged, no result is
kept, and losing one costs time, never a job.
"""

import logging

from celery import Celery
from django.conf import settings
from kombu import Queue

log = logging.getLogger(__name__)

_BROKER_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": "graftwork:",
}
_PUBLISH_OPTIONS = {**_BROKER_OPTIONS, "socket_timeout": 1, "socket_connect_timeout": 1, "max_retries": 0}
"""A page must not hang because the broker does. One try: left to itself kombu tries to connect for four seconds."""

app = Celery("graftwork")
app.conf.update(
    broker_url=settings.BROKER_URL or "memory://",
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    result_accept_content=["json"],
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_transport_options=_BROKER_OPTIONS,
    broker_channel_error_retry=True,
    # Without acknowledgement: one that fails on a broken wire would count as a message still in our hands, and a worker
    # that holds one takes no other for ever.
    task_queues=[Queue("train", routing_key="train", no_ack=True)],
    task_default_queue="train",
)


def wake_workers() -> None:
    """Say that there may be work. Blocks a second at the most and never raises: the job is in the database already."""
    if not settings.BROKER_URL:
        return
    try:
        with app.connection_for_write(transport_options=_PUBLISH_OPTIONS) as connection:
            app.send_task("wake", connection=connection, retry=False, expires=60)
    except Exception as error:
        # Whatever a broker that is away, full or spoilt may answer.
        log.warning("The broker took no wake-up; a worker will find the job when it looks next: %s", error)


def broker_answers() -> bool:
    """Ask it; takes seconds where it hangs, so no page may wait for this. Without a broker there is none to miss."""
    if not settings.BROKER_URL:
        return True
    try:
        with app.connection_for_write(transport_options=_PUBLISH_OPTIONS) as connection:
            connection.connect()
    except Exception as error:
        log.info("The broker does not answer: %s", error)
        return False
    return True
