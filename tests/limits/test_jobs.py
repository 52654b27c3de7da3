"""How many jobs of one person wait and run."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_job, make_recipe, make_starter, make_user, make_version, make_worker
from tests.jobs.made import claim, fields_for, make_failed
from tests.state_machine.at_once import at_once
from webapp import storage
from webapp.accounts.models import User
from webapp.jobs.accept import job_create
from webapp.jobs.attempts import job_claim
from webapp.jobs.models import Job, State
from webapp.jobs.queue import queue_now
from webapp.jobs.services import job_cancel, job_pause
from webapp.jobs.waiting import new_job_starts_in, waiting_now
from webapp.limits.limits import LimitReached
from webapp.limits.models import InstallationLimits, PersonLimits
from webapp.workers.models import Worker

JSON = {"Accept": "application/json"}


def limit(user: User, **values: int) -> None:
    PersonLimits.objects.update_or_create(user=user, defaults=values)


def tries(user: User, version: Any, base_model: Any) -> Job | None:
    try:
        return job_create(user, name="x", dataset_version=version, base_model=base_model, recipe=make_recipe())
    except LimitReached:
        return None


# Waiting.


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_a_job_beyond_the_queues_limit_is_refused_with_a_sentence(
    alice: User, alice_client: Client, accepts: str
) -> None:
    limit(alice, queued_jobs=2)
    fields = fields_for(make_version(alice))
    answers = [alice_client.post("/jobs/new", fields, headers={"Accept": accepts}) for _ in range(3)]
    assert answers[0].status_code == answers[1].status_code == (201 if accepts == "application/json" else 302)
    refused = answers[2]
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert "2 jobs of alice wait already" in refused.content.decode()
    assert Job.objects.count() == len(list(storage.jobs_dir().iterdir())) == 2
    assert accepts != "application/json" or refused.json()["code"] == "queued_jobs"


def test_a_paused_job_keeps_its_place_and_a_cancelled_one_frees_it(alice: User) -> None:
    limit(alice, queued_jobs=1)
    job = make_job(alice)
    job_pause(job)
    with pytest.raises(LimitReached):
        make_job(alice)
    job_cancel(job)
    make_job(alice)


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_a_retry_is_a_job_like_any_other(alice: User, alice_client: Client, accepts: str) -> None:
    failed = make_failed(alice, "data")
    make_job(alice)
    limit(alice, queued_jobs=1)
    answer = alice_client.post(f"/jobs/{failed.id}/retry", headers={"Accept": accepts})
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert "1 job of alice wait" in answer.content.decode()
    assert Job.objects.count() == 2


def test_the_same_request_again_is_no_further_job(alice: User) -> None:
    limit(alice, queued_jobs=1)
    version, base_model = make_version(alice), make_starter()
    ask = partial(job_create, alice, name="x", dataset_version=version, base_model=base_model, recipe=make_recipe())
    assert ask(idempotency_key="one").id == ask(idempotency_key="one").id


def test_one_persons_full_queue_stops_nobody_else(alice: User, bob: User) -> None:
    limit(alice, queued_jobs=1)
    make_job(alice)
    make_job(bob)


def test_of_many_submits_at_once_no_more_are_taken_than_fit(either_database: str) -> None:
    alice = make_user()
    limit(alice, queued_jobs=3)
    version, base_model = make_version(alice), make_starter()
    made = at_once(*[partial(tries, alice, version, base_model)] * 12)
    assert sum(job is not None for job in made) == Job.objects.count() == 3
    assert len(list(storage.jobs_dir().iterdir())) == 3


# Running.


def test_a_person_at_the_limit_waits_and_others_go_ahead(alice: User, bob: User) -> None:
    limit(alice, running_jobs=1)
    first, second, third = (make_job(alice) for _ in range(3))
    his = make_job(bob)
    assert claim("one").id == first.id
    assert [waiting.id for waiting in queue_now()] == [his.id, second.id, third.id]
    assert waiting_now(his).num_ahead == 0
    assert waiting_now(second).sentence == (
        "Waiting: alice has 1 of 1 job running, the limit of one person. It starts by itself when its turn comes."
    )
    assert "1 more goes before this one" in waiting_now(third).sentence
    assert [job and job.id for job in (job_claim(make_worker("two")), job_claim(make_worker("three")))] == [
        his.id,
        None,
    ]
    job_cancel_running(first)
    assert claim("one").id == second.id


def job_cancel_running(job: Job) -> None:
    Job.objects.filter(id=job.id).update(state=State.CANCELLED)


def test_nothing_is_promised_of_a_job_that_waits_for_the_persons_own(alice: User, bob: User) -> None:
    limit(alice, running_jobs=1)
    make_worker("one", slots=2)
    make_job(alice)
    claim("one")
    workers = list(Worker.objects.all())
    assert new_job_starts_in(alice, workers, 1) is None
    assert new_job_starts_in(bob, workers, 1) == 0
    told = waiting_now(make_job(alice))
    assert told.starts_in_seconds is None
    # A job of another person starts at once although hers stands in the queue.
    assert new_job_starts_in(bob, workers, 1) == 0


def test_a_job_no_worker_can_do_keeps_no_place_among_those_that_run(alice: User) -> None:
    limit(alice, running_jobs=1)
    make_job(alice, needs_labels=["nowhere"])
    other = make_job(alice)
    assert claim("one").id == other.id


def test_a_job_on_several_gpus_that_is_held_blocks_nobody(alice: User, bob: User) -> None:
    """Where it is its turn it would: slots are kept free for it."""
    card = {"kind": "gpu", "name": "A GPU", "memory_bytes": 10**10}
    devices = [{**card, "uuid": f"GPU-{number}"} for number in range(2)]
    worker = make_worker("cards", devices_json=devices, slots=2)
    limit(alice, running_jobs=1)
    make_job(alice)
    assert job_claim(worker, 0, 2)
    make_job(alice, num_processes=2)
    his = make_job(bob)
    taken = job_claim(worker, 1, 1)
    assert taken and taken.id == his.id


def test_no_limit_changes_nothing(alice: User) -> None:
    make_job(alice)
    make_job(alice)
    assert claim("one").id != claim("two").id


@pytest.mark.parametrize("number", range(6))
def test_workers_that_claim_at_once_never_run_more_than_allowed(either_database: str, number: int) -> None:
    alice, bob = make_user(), make_user("bob")
    limit(alice, running_jobs=2)
    # Each worker can do one job alone, so that none meets another at the same job.
    workers = [make_worker(f"worker-{index}", labels=[f"only-{index}"]) for index in range(6)]
    for index, owner in enumerate((alice, alice, alice, alice, alice, bob)):
        make_job(owner, needs_labels=[f"only-{index}"])
    taken = at_once(*[partial(job_claim, worker) for worker in workers])
    taken += [job_claim(worker) for worker in workers]
    assert Counter(job.owner_id for job in taken if job) == {alice.id: 2, bob.id: 1}
    assert Job.objects.active().count() == 3


# Where a limit comes from.


def test_the_persons_value_goes_before_everyones_and_that_before_the_environments(alice: User, settings: Any) -> None:
    settings.LIMIT_QUEUED_JOBS = 1
    make_job(alice)
    with pytest.raises(LimitReached):
        make_job(alice)
    InstallationLimits.objects.create(queued_jobs=2)
    make_job(alice)
    with pytest.raises(LimitReached):
        make_job(alice)
    limit(alice, queued_jobs=0)
    make_job(alice)
