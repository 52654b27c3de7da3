"""Two that want different things of one job at the same moment: one of them wins, wholly, and the other is told."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from tests.adapters.verdicts import make_verdict
from tests.databases import empty_tables
from tests.factories import make_job, make_recipe, make_starter, make_user, make_version, make_worker
from tests.jobs.made import claim, make_running, stepped
from tests.state_machine.at_once import at_once
from webapp import storage
from webapp.clock import database_now
from webapp.jobs.accept import job_create
from webapp.jobs.attempts import job_claim, job_finalize, job_record, job_renew
from webapp.jobs.endings import Ending, job_crashed, job_hand_back, job_succeed
from webapp.jobs.idempotency import KeyReused
from webapp.jobs.models import Asked, Job, JobAttempt, JobEvent, State
from webapp.jobs.reconcile import leases_expire
from webapp.jobs.services import AlreadyOver, job_cancel, job_pause
from webapp.upkeep.sweep import Sweeper

ROUNDS = 8
CRASH = Ending("crashed", "It crashed.")

every_round = pytest.mark.parametrize("number", range(ROUNDS))


def accepts(verb: Callable[[Job], None], job: Job) -> bool:
    try:
        verb(job)
    except AlreadyOver:
        return False
    return True


def fall_silent() -> None:
    Job.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))


@every_round
def test_a_cancel_and_the_keeping_of_the_adapter(either_database: str, number: int) -> None:
    """The first commit wins; a job is never cancelled with an adapter."""
    job = make_running(make_user())
    kept: list[int] = []

    def keep() -> bool:
        if job_finalize(job):
            return job_succeed(job, make_verdict(), also=lambda: kept.append(1))
        assert job_hand_back(job, reason="")
        return False

    is_accepted, is_kept = at_once(partial(accepts, job_cancel, Job.objects.get()), keep)
    assert is_accepted != is_kept
    assert len(kept) == is_kept
    assert Job.objects.get().state == (State.SUCCEEDED if is_kept else State.CANCELLED)


@every_round
@pytest.mark.parametrize("end", ["hand_back", "crash"])
def test_a_cancel_that_meets_a_job_on_its_way_back_is_heeded(either_database: str, end: str, number: int) -> None:
    job = make_running(make_user())
    give_back = partial(job_hand_back, job, reason="") if end == "hand_back" else partial(job_crashed, job, CRASH)
    assert at_once(partial(accepts, job_cancel, Job.objects.get()), give_back) == [True, True]
    assert Job.objects.get().state == State.CANCELLED


@every_round
def test_a_pause_and_a_claim(either_database: str, number: int) -> None:
    """Either it waits, or its worker knows."""
    job, worker = make_job(make_user()), make_worker()
    is_accepted, taken = at_once(partial(accepts, job_pause, job), partial(job_claim, worker))
    assert is_accepted
    seen = Job.objects.get()
    assert (seen.state, seen.asked) == ((State.STARTING, Asked.PAUSE) if taken else (State.PAUSED, Asked.NOTHING))


@every_round
def test_two_workers_and_one_job(either_database: str, number: int) -> None:
    make_job(make_user())
    workers = [make_worker(name) for name in ("one", "two", "three")]
    taken = at_once(*[partial(job_claim, worker) for worker in workers])
    assert len([job for job in taken if job]) == 1
    assert JobAttempt.objects.count() == 1


@every_round
def test_a_renewal_and_an_expiry(either_database: str, number: int) -> None:
    job = make_running(make_user())
    fall_silent()
    is_renewed, num_expired = at_once(partial(job_renew, job), partial(leases_expire, database_now()))
    assert (is_renewed, num_expired) in [(True, 0), (False, 1)]
    assert Job.objects.get().state == (State.RUNNING if is_renewed else State.QUEUED)


@every_round
def test_two_reconcilers(either_database: str, number: int) -> None:
    alice = make_user()
    for _job in range(4):
        make_job(alice)
    for name in ("one", "two", "three", "four"):
        claim(name)
    fall_silent()
    now = database_now()
    assert sum(at_once(partial(leases_expire, now), partial(leases_expire, now))) == 4
    assert list(Job.objects.values_list("state", "crash_count")) == [(State.QUEUED, 1)] * 4


@every_round
def test_two_sweepers_at_the_first_start(either_database: str, number: int) -> None:
    assert sum(at_once(Sweeper("a").sweep, Sweeper("b").sweep)) == 1


@every_round
def test_one_request_that_comes_twice_at_once(either_database: str, number: int) -> None:
    alice = make_user()
    version, base_model = make_version(alice), make_starter()
    ask = partial(
        job_create, alice, name="x", dataset_version=version, base_model=base_model, recipe=make_recipe(),
        idempotency_key="one",
    )  # fmt: skip
    first, second = at_once(ask, ask)
    assert first.id == second.id == Job.objects.get().id


@every_round
def test_two_requests_with_one_key_at_once_make_one_job(either_database: str, number: int) -> None:
    """The second is told, and nothing of it is left."""
    alice = make_user()
    version, base_model = make_version(alice), make_starter()

    def ask(request: str) -> Job | None:
        try:
            return job_create(
                alice, name=request, dataset_version=version, base_model=base_model, recipe=make_recipe(),
                idempotency_key="one", request_sha256=request,
            )  # fmt: skip
        except KeyReused:
            return None

    made = [job for job in at_once(partial(ask, "a"), partial(ask, "b")) if job]
    assert [job.id for job in made] == [Job.objects.get().id]
    assert [path.name for path in storage.jobs_dir().iterdir()] == [str(made[0].id)]


def test_two_writers_of_one_history_leave_no_gap(either_database: str) -> None:
    """The recorder tells of steps while people and reconcilers move the job."""
    alice = make_user()
    for _round in range(ROUNDS):
        job = make_running(alice)
        at_once(
            lambda job=job: [job_record(job, [stepped(step)]) for step in range(4, 8)],
            partial(accepts, job_cancel, Job.objects.get(id=job.id)),
            partial(leases_expire, database_now() + timedelta(hours=1)),
        )
        numbers = JobEvent.objects.filter(job=job).order_by("seq").values_list("seq", flat=True)
        assert list(numbers) == list(range(1, len(numbers) + 1))
        seen = Job.objects.get(id=job.id)
        assert seen.state == State.CANCELLED or seen.asked == Asked.CANCEL
        empty_tables()
        alice = make_user()
