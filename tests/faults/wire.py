"""Beside the stack: a signed-in person who submits over HTTP, and wake-ups whose arrival at a worker can be seen."""

import uuid

import redis
from kombu import Connection

from tests.faults.jobs import Person
from tests.faults.stack import FaultStack, Part, until
from tests.jobs.made import fields_for
from webapp.accounts.services import sign_in_link_create
from webapp.celery import app
from webapp.jobs.models import Job
from webapp.local.client import Client

QUEUE_KEY = "graftwork:train"
LOW_LEVEL = {"global_keyprefix": "graftwork:"}


class Submitter(Person):
    """Asks for jobs over HTTP, as a script does."""

    def __init__(self, stack: FaultStack, name: str = "alice") -> None:
        super().__init__(name)
        self.client = Client(stack.url, f"/welcome/{sign_in_link_create(self.user)}")
        self.fields = {key: str(value) for key, value in fields_for(self.version).items()}

    def submits(self, words: str) -> Job:
        url = self.client.job_start(**{**self.fields, "name": words})
        return Job.objects.get(id=url.strip("/").split("/")[-1])


def redis_of(stack: FaultStack) -> redis.Redis:
    return redis.Redis(port=stack.broker_port, socket_timeout=5)


def wake_up(stack: FaultStack, word: str = "") -> str:
    """Send a wake-up straight to the broker; returns the id under which a worker's log names it."""
    word = word or str(uuid.uuid4())
    with Connection(stack.broker_url, transport_options=LOW_LEVEL) as connection:
        app.send_task("wake", task_id=word, connection=connection, retry=False)
    return word


def until_it_consumes(stack: FaultStack, worker: Part, seconds: float) -> float:
    """Until a worker hears wake-ups again; how long that took. Others may hear them first, so each try is a new one."""
    sent: list[str] = []

    def heard() -> bool:
        assert worker.is_alive, f"{worker.name} is gone: {worker.log[-3000:]}"
        # One at a time: on a slow wire the old ones would stand before the new ones.
        if not redis_of(stack).llen(QUEUE_KEY):
            sent.append(wake_up(stack))
        return any(f"Task wake[{word}] received" in worker.log for word in sent)

    return until(heard, seconds, lambda: f"{worker.name} hears nothing: {worker.log[-3000:]}")
