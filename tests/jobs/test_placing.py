"""Which worker may take which job, and the sentence that says why none may."""

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import make_job, make_user, make_worker
from webapp.clock import database_now
from webapp.contract.devices import Device
from webapp.contract.version import RECIPE_VERSION
from webapp.jobs.attempts import job_claim
from webapp.jobs.endings import job_hand_back
from webapp.jobs.models import Job
from webapp.jobs.placing import misfit, others_for, why_no_worker
from webapp.jobs.services import NoOtherWorker, job_move_away, job_pause, job_resume
from webapp.workers.models import Intent, Worker

pytestmark = pytest.mark.django_db


def gpu(gigabytes: int) -> dict[str, Any]:
    return Device(kind="gpu", name="A GPU", memory_bytes=gigabytes * 10**9).model_dump()


def online() -> list[Worker]:
    return list(Worker.objects.online(database_now()))


@pytest.mark.parametrize(
    ("needs", "has", "reason"),
    [
        ({}, {}, None),
        ({"needs_labels": ["eu"]}, {"labels": ["fast", "eu"]}, None),
        ({"needs_labels": ["eu"]}, {"labels": ["fast"]}, "with the label “eu”"),
        ({"needs_labels": ["eu", "x"]}, {}, "with the labels “eu”, “x”"),
        ({"needs_memory_bytes": 24 * 10**9}, {"devices_json": [gpu(16), gpu(24)]}, None),
        ({"needs_memory_bytes": 24 * 10**9}, {"devices_json": [gpu(16), gpu(16)]}, "with 24 GB"),
        ({"needs_memory_bytes": 10**9}, {"devices_json": []}, "with 1 GB"),
        ({"recipe_version": RECIPE_VERSION + 1}, {}, "of a newer version"),
        ({}, {"loads_json": [{"disk_free_bytes": 10**12}, {"disk_free_bytes": 10**8}]}, "with free disk space"),
        ({}, {"loads_json": [{"disk_free_bytes": 10**8}, {"disk_free_bytes": 10**12}]}, None),
    ],
)
def test_what_a_job_needs_and_a_worker_has(needs: dict[str, Any], has: dict[str, Any], reason: str | None) -> None:
    job, worker = make_job(make_user(), **needs), make_worker(**has)
    found = misfit(job, worker)
    assert (found or "").startswith(reason or "") and (found is None) == (reason is None)
    assert (job_claim(worker) is None) == (reason is not None)


@pytest.mark.parametrize("intent", [Intent.PAUSED, Intent.DRAINING, Intent.RETIRED])
def test_a_worker_that_shall_not_takes_nothing(intent: Intent) -> None:
    make_job(make_user())
    seen_earlier = make_worker()
    Worker.objects.update(intent=intent)
    assert job_claim(seen_earlier) is None


def test_a_job_that_nobody_here_can_do_holds_up_nobody() -> None:
    alice = make_user()
    make_job(alice, needs_labels=["moon"])
    possible = make_job(alice)
    taken = job_claim(make_worker())
    assert taken and taken.id == possible.id


def test_a_worker_of_an_older_version_leaves_what_it_cannot_read() -> None:
    """Newer code queued it; this code must not even try."""
    make_job(make_user(), recipe_version=RECIPE_VERSION + 1)
    assert job_claim(make_worker(recipe_version=RECIPE_VERSION + 1)) is None


def test_the_sentence_names_what_would_help() -> None:
    job = make_job(make_user(), needs_memory_bytes=24 * 10**9)
    assert (why_no_worker(job, []) or "").startswith("Waiting for a worker: none is running.")
    make_worker()
    assert why_no_worker(job, online()) == "Waiting for a worker with 24 GB."
    make_worker("two", devices_json=[gpu(24)], intent=Intent.DRAINING)
    assert "those that could do it are paused" in (why_no_worker(job, online()) or "")
    make_worker("three", devices_json=[gpu(24)])
    assert why_no_worker(job, online()) is None


def test_different_lacks_are_told_together() -> None:
    job = make_job(make_user(), needs_memory_bytes=24 * 10**9, needs_labels=["eu"])
    make_worker("one", labels=["eu"])
    make_worker("two", devices_json=[gpu(24)])
    assert why_no_worker(job, online()) == "Waiting for a worker with 24 GB or with the label “eu”."


def test_a_job_is_moved_only_where_somebody_else_could_take_it() -> None:
    make_job(make_user())
    job = job_claim(make_worker("one"))
    assert job
    make_worker("two", intent=Intent.PAUSED)
    with pytest.raises(NoOtherWorker):
        job_move_away(job)
    three = make_worker("three")
    assert others_for(job, online()) == [three]
    job_move_away(job)
    assert job_hand_back(job, reason="Moved.")
    assert job_claim(make_worker("one")) is None
    assert misfit(job, make_worker("one")) == "other than one, from which it was moved away"
    taken = job_claim(three)
    assert taken and taken.avoid_worker is None


def test_a_person_can_let_a_moved_job_go_back() -> None:
    """By pausing and resuming it: the wish to avoid a worker is forgotten."""
    job = make_job(make_user(), avoid_worker=make_worker("one"))
    job_pause(job)
    job_resume(job)
    assert job_claim(make_worker("one"))
    assert Job.objects.get().attempt == 1


def cards(*gigabytes: int) -> dict[str, Any]:
    return {"devices_json": [gpu(size) for size in gigabytes], "slots": len(gigabytes)}


@pytest.mark.parametrize(
    ("has", "reason"),
    [
        (cards(8, 8), None),
        (cards(8, 8, 8), None),
        (cards(8), "with 2 GPUs"),
        ({**cards(8, 8), "slots": 1}, "with 2 GPUs"),
        ({"num_cores": 2}, None),
        ({"num_cores": 1}, "with 2 GPUs"),
    ],
)
def test_a_job_on_two_gpus_needs_a_worker_that_can_give_both(has: dict[str, Any], reason: str | None) -> None:
    assert misfit(make_job(make_user(), num_processes=2), make_worker(**has)) == reason


def test_what_waits_for_several_slots_is_not_overtaken_on_its_worker() -> None:
    alice = make_user()
    first, wide, last = (make_job(alice, num_processes=number) for number in (1, 2, 1))
    two, one = make_worker("two", **cards(8, 8)), make_worker("one")
    assert job_claim(two, num_free=2) == first
    assert job_claim(two, num_free=1) is None
    assert job_claim(make_worker("three", **cards(8)), num_free=1) == last
    assert job_claim(two, num_free=2) == wide
    make_job(alice, num_processes=2)
    assert job_claim(one, num_free=1), "the processes share a processor's one slot"


def test_one_that_shall_not_be_tried_yet_is_not_waited_for() -> None:
    alice = make_user()
    make_job(alice, num_processes=2, not_before=database_now() + timedelta(minutes=1))
    small = make_job(alice)
    assert job_claim(make_worker(**cards(8, 8)), num_free=1) == small
