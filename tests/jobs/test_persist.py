"""A database that commits and then says it did not, that fails now and then, that cannot serialize: nothing is lost,
nothing happens twice."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from django.db import OperationalError, connection, transaction

from tests.adapters.made import made_by_the_engine
from tests.factories import make_job, make_recipe, make_starter, make_user, make_version, make_worker
from tests.jobs.made import claim, make_running, stepped
from tests.state_machine.at_once import at_once
from tests.state_machine.faults import committing_then_raising, failing_now_and_then
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import AdapterVersion
from webapp.adapters.services import adapter_store
from webapp.clock import database_now
from webapp.contract.adapter_files import verify
from webapp.jobs import persist
from webapp.jobs.accept import job_create
from webapp.jobs.attempts import job_claim, job_finalize, job_record
from webapp.jobs.endings import Ending, job_crashed, job_hand_back
from webapp.jobs.models import Job, JobAttempt, State
from webapp.jobs.persist import persistently
from webapp.jobs.reconcile import leases_expire
from webapp.jobs.services import job_cancel
from webapp.jobs.transition import transition

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "PAUSES", (0.0,) * len(persist.PAUSES))


def asking(alice: User, key: str = "one") -> Callable[[], Job]:
    return partial(
        job_create, alice, name="x", dataset_version=make_version(alice), base_model=make_starter(),
        recipe=make_recipe(), idempotency_key=key,
    )  # fmt: skip


def moves(job: Job) -> list[str]:
    return [event.data["to"] for event in job.events.filter(kind="moved")]


def until_it_answers(work: Callable[[], Result]) -> Result:
    """As a worker or a person asks again."""
    for _try in range(50):
        with suppress(OperationalError):
            return work()
    raise AssertionError("fifty errors in a row")


# Committed, but the caller was told otherwise.


def test_a_job_whose_answer_was_lost_is_accepted_once(either_database: str) -> None:
    ask = asking(make_user())
    with committing_then_raising(1) as faults:
        job = ask()
    assert faults.num_raised == 1
    assert Job.objects.get().id == job.id
    assert moves(job) == ["queued"]
    assert storage.job_rows_path(job.id).exists()


def test_a_job_accepted_just_before_the_database_went_is_found_by_its_key_with_its_rows(either_database: str) -> None:
    ask = asking(make_user())
    with pytest.raises(OperationalError), committing_then_raising(1, then_away=True):
        ask()
    job = ask()
    assert Job.objects.get().id == job.id
    assert storage.job_rows_path(job.id).exists()
    assert len(list(storage.jobs_dir().iterdir())) == 1


def test_a_claim_whose_answer_was_lost_is_the_workers(either_database: str) -> None:
    make_job(make_user())
    worker = make_worker()
    with committing_then_raising(1) as faults:
        job = job_claim(worker)
    assert faults.num_raised == 1
    assert job and (job.state, job.attempt) == (State.STARTING, 1)
    assert JobAttempt.objects.count() == 1
    assert moves(job) == ["queued", "starting"]


def test_a_claim_that_its_worker_never_heard_of_is_recovered_by_the_lease(either_database: str) -> None:
    make_job(make_user())
    worker = make_worker()
    with pytest.raises(OperationalError), committing_then_raising(1, then_away=True):
        job_claim(worker)
    assert Job.objects.get().state == State.STARTING
    Job.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))
    assert leases_expire(database_now()) == 1
    assert (Job.objects.get().state, Job.objects.get().attempt) == (State.QUEUED, 1)


def test_an_adapter_whose_answer_was_lost_is_recorded_once(either_database: str) -> None:
    job = make_running(make_user())
    made = made_by_the_engine(job.attempt_dir)
    assert job_finalize(job)
    with committing_then_raising(1) as faults:
        version = adapter_store(job, made)
    assert faults.num_raised == 1
    kept = AdapterVersion.objects.get()
    assert version and version.id == kept.id
    verify(kept.files_dir)
    assert Job.objects.get().state == State.SUCCEEDED


def test_an_adapter_recorded_just_before_the_database_went_stays_the_only_one(either_database: str) -> None:
    """The worker calls again once the database is back, and is told that there is nothing left to do."""
    job = make_running(make_user())
    made = made_by_the_engine(job.attempt_dir)
    assert job_finalize(job)
    with pytest.raises(OperationalError), committing_then_raising(1, then_away=True):
        adapter_store(job, made)
    assert adapter_store(job, made) is None
    kept = AdapterVersion.objects.get()
    verify(kept.files_dir)
    assert [path.name for path in storage.adapters_dir().iterdir()] == [str(kept.id)]
    assert moves(job)[-1] == State.SUCCEEDED


def test_a_crash_whose_answer_was_lost_counts_once(either_database: str) -> None:
    job = make_running(make_user())
    with committing_then_raising(1):
        assert job_crashed(job, Ending("crashed", "It crashed."))
    assert Job.objects.get().crash_count == 1


def test_steps_whose_answer_was_lost_are_not_told_twice(either_database: str) -> None:
    make_job(make_user())
    job = claim()
    with pytest.raises(OperationalError), committing_then_raising(1):
        job_record(job, [stepped(1)], first=0)
    job_record(job, [stepped(1), stepped(2)], first=0)
    assert [event.data["step"] for event in job.events.filter(kind="stepped")] == [1, 2]


# One statement in twenty fails.


@pytest.mark.parametrize("number", range(3))
def test_whole_lives_of_jobs_while_one_statement_in_twenty_fails(either_database: str, number: int) -> None:
    alice, dice = make_user(), random.Random(number)
    workers = [make_worker("one"), make_worker("two")]
    asks = [asking(alice, key=str(key)) for key in range(4)]
    with failing_now_and_then(dice, 0.05) as faults:
        jobs = [until_it_answers(ask) for ask in asks]
        until_it_answers(lambda: job_cancel(jobs[0]))
        for turn in range(6):
            job = until_it_answers(partial(job_claim, workers[turn % 2]))
            if job is None:
                continue
            until_it_answers(partial(job_record, job, [stepped(1), stepped(2)], first=0))
            if turn % 3 == 0:
                until_it_answers(partial(job_hand_back, job, reason=""))
            elif until_it_answers(partial(job_finalize, job)):
                until_it_answers(partial(adapter_store, job, made_by_the_engine(job.attempt_dir)))
    assert faults.num_raised > 5
    states = {job.state for job in Job.objects.all()}
    assert Job.objects.count() == 4 and states == {State.CANCELLED, State.SUCCEEDED}
    assert AdapterVersion.objects.count() == 3
    assert sorted(path.name for path in storage.jobs_dir().iterdir()) == sorted(str(job.id) for job in jobs)
    for job in jobs:
        numbers = list(job.events.values_list("seq", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_move_is_not_an_error_while_one_statement_in_twenty_fails(either_database: str) -> None:
    """Of 120 moves all are done at once: a passing error never reaches the person."""
    alice, dice = make_user(), random.Random(1)
    jobs = [make_job(alice) for _job in range(3)]
    with failing_now_and_then(dice, 0.05) as faults:
        for number in range(60):
            job = Job(id=jobs[number % 3].id)
            until_it_answers(job.refresh_from_db)
            assert transition(job, State.PAUSED, actor="person", reason="")
            assert transition(job, State.QUEUED, actor="person", reason="")
    assert faults.num_raised > 10


# PostgreSQL under a stricter isolation.


def test_transactions_that_cannot_be_serialized_are_done_again_as_a_whole(postgresql_database: str) -> None:
    job = make_job(make_user())
    tries: list[int] = []

    def add(amount: int) -> bool:
        def work() -> bool:
            tries.append(amount)
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                seen = Job.objects.get(id=job.id)
                cursor.execute("SELECT pg_sleep(0.05)")
                Job.objects.filter(id=job.id).update(progress_step=seen.progress_step + amount)
            return True

        return persistently(work, is_done=lambda: False)

    assert at_once(partial(add, 1), partial(add, 10), partial(add, 100)) == [True, True, True]
    assert Job.objects.get().progress_step == 111
    assert len(tries) > 3


# What persistence is not.


def test_inside_a_larger_transaction_there_is_one_try(either_database: str) -> None:
    tries: list[int] = []

    def work() -> bool:
        tries.append(1)
        raise OperationalError("locked")

    with pytest.raises(OperationalError), transaction.atomic():
        persistently(work, is_done=lambda: False)
    assert len(tries) == 1


def test_an_outage_is_told_in_the_end(either_database: str) -> None:
    def refuse(*_words: Any) -> Any:
        raise OperationalError("away")

    job = make_job(make_user())
    with pytest.raises(OperationalError, match="away"), connection.execute_wrapper(refuse):
        job_cancel(job)
    assert Job.objects.get().state == State.QUEUED


def test_a_mistake_of_ours_is_not_repeated(either_database: str) -> None:
    tries: list[int] = []

    def work() -> bool:
        tries.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        persistently(work, is_done=lambda: False)
    assert len(tries) == 1
