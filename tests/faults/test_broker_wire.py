"""The wire to the broker is cut in the nasty way, and what comes over it is not what was sent."""

import base64
import json
import pickle
from pathlib import Path

import pytest

from tests.faults.jobs import Person, all_succeed, now, until_state, until_step
from tests.faults.proxy import running_proxy
from tests.faults.stack import running_faults, until
from tests.faults.test_broker import RETURNS_SECONDS, broker  # noqa: F401
from tests.faults.wire import QUEUE_KEY, redis_of, until_it_consumes, wake_up
from webapp.jobs.models import State

ENVELOPE = {
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {"lang": "py", "task": "wake", "id": "old", "argsrepr": "()", "kwargsrepr": "{}"},
    "properties": {
        "correlation_id": "old",
        "delivery_info": {"exchange": "", "routing_key": "train"},
        "delivery_tag": "1",
        "body_encoding": "base64",
    },
}


def message(body: bytes, **changed: object) -> str:
    return json.dumps({**ENVELOPE, "body": base64.b64encode(body).decode(), **changed})


class Bomb:
    """Unpickling it would leave a file; nobody must."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.faults
def test_a_half_open_wire_is_noticed_and_lost_wake_ups_are_made_good(home: Path, database_url: str) -> None:
    """F13."""
    with running_proxy() as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with running_faults(home, database_url, workers=0, GRAFTWORK_BROKER_URL=url) as stack:
            proxy.target = stack.broker_port
            worker = stack.start_worker("w1")
            until_it_consumes(stack, worker, 60)
            person = Person()
            running = person.asks("steps=60 seconds=0.1")
            until_step(running, 4)
            proxy.become("black_hole")
            lost = [person.asks("steps=4") for _ in range(5)]
            until(lambda: proxy.num_caught >= 1, 30, "the worker's connection was not caught")
            proxy.become("pass")
            until_it_consumes(stack, worker, RETURNS_SECONDS)
            proxy.become("refuse")
            refused = person.asks("steps=4")
            until_state(refused, State.SUCCEEDED, seconds=60)
            proxy.become("pass")
            proxy.delay = 0.2
            until_it_consumes(stack, worker, RETURNS_SECONDS)
            all_succeed(stack, [running, *lost, refused], 60)


@pytest.mark.faults
def test_garbage_on_the_broker_harms_nobody(home: Path, database_url: str, broker: str) -> None:  # noqa: F811
    """F15."""
    with running_faults(home, database_url) as stack:
        worker, person, redis = stack.parts["w1"], Person(), redis_of(stack)
        running = person.asks("steps=150 seconds=0.1")
        until_step(running, 4)
        until_it_consumes(stack, worker, 60)
        garbage = {
            "not JSON": "no message at all",
            "no text": b"\xff\xfe\x00",
            "JSON, no message": "[1, 2]",
            "an empty envelope": "{}",
            "pickle": message(pickle.dumps(Bomb(home / "bomb")), **{"content-type": "application/x-python-serialize"}),
            "a body that is no JSON": message(b"{{{"),
            "another task": message(b"[[], {}, {}]", headers={**ENVELOPE["headers"], "task": "rm"}),
            "arguments": message(b'[[1, 2], {"id": 3}, {}]'),
            "huge": message(b"x" * 20_000_000),
        }
        for what, text in garbage.items():
            redis.lpush(QUEUE_KEY, text)
            until(lambda: not redis.llen(QUEUE_KEY), RETURNS_SECONDS, f"{what} stays on the queue")
            until_it_consumes(stack, worker, RETURNS_SECONDS)
            assert worker.is_alive, f"{what}: {worker.log[-3000:]}"
        redis.flushall()
        redis.set(QUEUE_KEY, "not a list")
        beside = person.asks("steps=4")
        until(
            lambda: "refuses to hand over" in worker.log,
            30,
            lambda: f"the wrong type was not seen: {worker.log[-3000:]}",
        )
        redis.delete(QUEUE_KEY)
        until_it_consumes(stack, worker, RETURNS_SECONDS)
        assert not (home / "bomb").exists()
        all_succeed(stack, [running, beside], 90)


def test_wake_ups_that_come_a_hundred_times_make_one_attempt(home: Path, database_url: str) -> None:
    """F16: new ones in a crowd, and one old one replayed."""
    with running_faults(home, database_url, workers=2) as stack:
        person = Person()
        jobs = [person.asks("steps=10 seconds=0.05") for _ in range(4)]
        until(lambda: now(jobs[0]).attempt, 60, "no job runs")
        for number in range(100):
            wake_up(stack)
            redis_of(stack).lpush(QUEUE_KEY, message(b"[[], {}, {}]"))
            if number % 50 == 0:
                jobs.append(person.asks("steps=4"))
        until(lambda: not redis_of(stack).llen(QUEUE_KEY), 60, "the wake-ups are not heard")
        all_succeed(stack, jobs, 60)
