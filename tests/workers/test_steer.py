"""What an admin can do to a worker, and what is refused."""

import uuid

import pytest

from tests.workers.made import gpu, make_worker, register
from webapp.workers.models import Intent
from webapp.workers.rules import Refused, labels_read, name_from_host, name_read
from webapp.workers.services import (
    worker_add,
    worker_drain,
    worker_pause,
    worker_resume,
    worker_retire,
    worker_set,
)

pytestmark = pytest.mark.django_db
VERBS = {worker_pause: Intent.PAUSED, worker_drain: Intent.DRAINING, worker_resume: Intent.ACTIVE}


@pytest.mark.parametrize("before", [Intent.ACTIVE, Intent.PAUSED, Intent.DRAINING])
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_moves_it_unless_it_is_there_already(verb: object, before: Intent) -> None:
    worker = make_worker(intent=before)
    assert verb(worker.id) is (before != VERBS[verb])  # type: ignore[operator,index]
    worker.refresh_from_db()
    assert worker.intent == VERBS[verb]  # type: ignore[index]


@pytest.mark.parametrize("verb", [*VERBS, worker_retire])
def test_retiring_cannot_be_undone(verb: object) -> None:
    worker = make_worker(intent=Intent.RETIRED)
    assert verb(worker.id) is False  # type: ignore[operator]
    worker.refresh_from_db()
    assert worker.intent == Intent.RETIRED


def test_an_unknown_worker_is_not_moved() -> None:
    assert worker_pause(uuid.uuid4()) is False


def test_a_name_is_given_once() -> None:
    worker_add(name="box")
    with pytest.raises(Refused, match="already") as refused:
        worker_add(name="box")
    assert refused.value.field == "name"


def test_an_added_worker_gets_its_slots_when_it_first_starts() -> None:
    worker, _token = worker_add(name="box")
    assert worker.slots == 0
    assert register("box", devices=(gpu(1), gpu(2))).slots == 2


def test_an_added_worker_keeps_the_slots_it_was_given() -> None:
    worker_add(name="box", slots=1)
    assert register("box", devices=(gpu(1), gpu(2))).slots == 1


@pytest.mark.parametrize(("slots", "most"), [(0, 4), (5, 4), (-1, 4)])
def test_slots_are_bounded_by_the_cores(slots: int, most: int) -> None:
    with pytest.raises(Refused, match=f"give 1 to {most}, one for each core"):
        worker_set(make_worker().id, labels=[], slots=slots)


def test_slots_are_bounded_by_the_gpus_where_there_are_any() -> None:
    worker = register("box", devices=(gpu(1), gpu(2)))
    assert worker_set(worker.id, labels=["eu"], slots=2).labels == ["eu"]
    with pytest.raises(Refused, match="give 1 to 2, one for each GPU"):
        worker_set(worker.id, labels=[], slots=3)


@pytest.mark.parametrize("label", ["a b", "ü", "-a", "a" * 31, "a,b", "a\x00"])
def test_bad_labels_are_refused(label: str) -> None:
    with pytest.raises(Refused, match="cannot be a label"):
        labels_read([label])


def test_eleven_labels_are_too_many() -> None:
    assert len(labels_read(str(number) for number in range(10))) == 10
    with pytest.raises(Refused, match="11 labels"):
        labels_read(str(number) for number in range(11))


@pytest.mark.parametrize("host", ["Box.Example.ORG", "_host", "höst", "", "x" * 80, "..."])
def test_any_host_gives_a_name(host: str) -> None:
    name = name_from_host(host)
    assert name_read(name) == name
