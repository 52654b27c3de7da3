"""Whose turn it is and when: properties that hold for every queue."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.verdicts import make_verdict
from tests.factories import make_job, make_user, make_worker
from tests.jobs.made import claim, make_succeeded, stepped, verdict_with
from webapp.clock import database_now
from webapp.contract.devices import Device
from webapp.jobs.attempts import job_claim, job_record
from webapp.jobs.endings import job_hand_back
from webapp.jobs.models import Job, Priority
from webapp.jobs.queue import Upcoming, Waiting, queue_now, queue_order, starts_in
from webapp.jobs.services import job_move_in_queue
from webapp.jobs.waiting import new_job_starts_in, waiting_now
from webapp.workers.models import Intent, Worker

BEGIN = datetime(2026, 11, 25, tzinfo=UTC)
quick = settings(max_examples=200, deadline=None, derandomize=True)


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    """Up to twelve jobs of up to four people, in the order they were asked for."""
    one = st.tuples(st.integers(1, 4), st.sampled_from([-1, 0, 1]), st.integers(0, 3))
    return [
        Waiting(uuid.UUID(int=number), owner, priority, rank, BEGIN + timedelta(seconds=number // 2))
        for number, (owner, priority, rank) in enumerate(draw(st.lists(one, max_size=12)))
    ]


running = st.dictionaries(st.integers(1, 4), st.integers(0, 3))


@quick
@given(queues(), running)
def test_everybody_who_waits_has_one_place(waiting: list[Waiting], num_running: dict[int, int]) -> None:
    ordered = queue_order(waiting, num_running)
    assert len(ordered) == len(waiting) and set(ordered) == set(waiting)


@quick
@given(queues(), running, st.randoms(use_true_random=False))
def test_the_order_is_no_matter_of_how_the_rows_come(waiting: list[Waiting], num_running: dict[int, int], dice) -> None:  # type: ignore[no-untyped-def]
    shuffled = dice.sample(waiting, len(waiting))
    assert queue_order(shuffled, num_running) == queue_order(waiting, num_running)


@quick
@given(queues(), running)
def test_a_higher_priority_goes_first(waiting: list[Waiting], num_running: dict[int, int]) -> None:
    priorities = [job.priority for job in queue_order(waiting, num_running)]
    assert priorities == sorted(priorities, reverse=True)


@quick
@given(queues(), running)
def test_nobody_is_served_before_one_who_has_less(waiting: list[Waiting], num_running: dict[int, int]) -> None:
    """At every place: of all who wait in this priority, the one who is served has the fewest jobs, counted with
    those that run and those placed before."""
    ordered = queue_order(waiting, num_running)
    has = dict.fromkeys(range(1, 5), 0) | num_running
    for place, job in enumerate(ordered):
        rivals = {other.owner_id for other in ordered[place:] if other.priority == job.priority}
        assert has[job.owner_id] == min(has[owner] for owner in rivals)
        has[job.owner_id] += 1


@quick
@given(queues(), running)
def test_nobody_gets_a_second_place_before_one_with_fewer_running_has_a_first(
    waiting: list[Waiting], num_running: dict[int, int]
) -> None:
    for _priority, jobs in itertools.groupby(queue_order(waiting, {}), key=lambda job: job.priority):
        alone = [job._replace(priority=0) for job in jobs]
        owners = [job.owner_id for job in queue_order(alone, num_running)]
        first = {owner: owners.index(owner) for owner in owners}
        for owner in set(owners):
            places = [place for place, one in enumerate(owners) if one == owner]
            poorer = [one for one in first if num_running.get(one, 0) <= num_running.get(owner, 0)]
            assert len(places) < 2 or all(first[one] < places[1] for one in poorer)


@quick
@given(queues(), running)
def test_among_ones_own_jobs_the_rank_decides(waiting: list[Waiting], num_running: dict[int, int]) -> None:
    ordered = queue_order(waiting, num_running)
    for owner, priority in itertools.product(range(1, 5), (-1, 0, 1)):
        own = [job for job in ordered if (job.owner_id, job.priority) == (owner, priority)]
        assert own == sorted(own, key=lambda job: (job.rank, job.created_at, job.id))


@quick
@given(queues(), running, st.randoms(use_true_random=False))
def test_whoever_moves_the_own_jobs_changes_nobody_elses_place(waiting, num_running, dice) -> None:  # type: ignore[no-untyped-def]
    moved = [job._replace(rank=dice.randrange(9)) if job.owner_id == 1 else job for job in waiting]
    before, after = queue_order(waiting, num_running), queue_order(moved, num_running)
    assert [job.id for job in before if job.owner_id != 1] == [job.id for job in after if job.owner_id != 1]
    assert [job.owner_id for job in before] == [job.owner_id for job in after]


ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def simulated(durations: list[int], free_in: dict[uuid.UUID, list[int]], place: int) -> int:
    """Second by second: whichever slot is free takes the next job."""
    busy_until = [seconds for slots in free_in.values() for seconds in slots]
    now, begun = 0, 0
    while True:
        for slot, until in enumerate(busy_until):
            if until <= now:
                if begun == place:
                    return now
                busy_until[slot] = now + durations[begun]
                begun += 1
        now += 1


slots_of_a_worker = st.lists(st.integers(0, 9), min_size=1, max_size=3)


@quick
@given(
    st.lists(st.integers(1, 9), max_size=8),
    st.dictionaries(st.sampled_from([ONE, TWO]), slots_of_a_worker, min_size=1),
    st.integers(0, 8),
)
def test_the_start_is_what_a_simulation_finds(
    durations: list[int], free_in: dict[uuid.UUID, list[int]], place: int
) -> None:
    any_worker = dict.fromkeys(free_in, 1)
    ahead = [Upcoming(seconds, any_worker) for seconds in durations[:place]]
    assert starts_in(ahead, any_worker, free_in) == simulated(durations, free_in, len(ahead))


def test_what_depends_on_the_unknown_is_not_guessed() -> None:
    alone = {ONE: 1}
    assert starts_in([], alone, {}) is None
    assert starts_in([Upcoming(5, alone)], alone, {ONE: [None]}) is None
    assert starts_in([Upcoming(None, alone)], alone, {ONE: [0]}) is None
    assert starts_in([], alone, {ONE: [30, None]}) is None


def test_a_free_slot_is_enough_whatever_the_others_do() -> None:
    assert starts_in([], {ONE: 1, TWO: 1}, {ONE: [None, 0], TWO: [50]}) == 0


def test_a_job_that_no_worker_may_run_holds_nobody_up() -> None:
    assert starts_in([Upcoming(500, {})], {ONE: 1}, {ONE: [20]}) == 20


def test_a_worker_that_may_not_run_the_job_does_not_count() -> None:
    assert starts_in([Upcoming(500, {TWO: 1})], {ONE: 1}, {ONE: [20], TWO: [0]}) == 20


def test_several_gpus_must_be_free_on_one_worker() -> None:
    free_in = {ONE: [0, 40], TWO: [0, 30]}
    assert starts_in([], {ONE: 2, TWO: 2}, free_in) == 30
    assert starts_in([Upcoming(7, {ONE: 2, TWO: 2})], {ONE: 1, TWO: 1}, free_in) == 0
    assert starts_in([], {ONE: 3, TWO: 3}, free_in) is None


@pytest.mark.django_db
def test_people_take_turns_whoever_came_with_more() -> None:
    alice, bob = make_user(), make_user("bob")
    jobs = [make_job(alice), make_job(alice), make_job(alice), make_job(bob), make_job(bob)]
    assert [jobs.index(Job.objects.get(id=waiting.id)) for waiting in queue_now()] == [0, 3, 1, 4, 2]
    claim()
    assert [jobs.index(Job.objects.get(id=waiting.id)) for waiting in queue_now()] == [3, 1, 4, 2]


@pytest.mark.django_db
def test_a_move_on_real_rows_changes_nobody_elses_place() -> None:
    alice, bob = make_user(), make_user("bob")
    for owner in (alice, bob, alice, bob, alice):
        make_job(owner)
    before = [waiting.id for waiting in queue_now()]
    last = Job.objects.filter(owner=alice).order_by("queue_rank").last()
    assert last is not None
    for where in ("up", "front", "down", "down", "down", "up"):
        job_move_in_queue(last, where)
        after = queue_now()
        assert [job.id for job in after if job.owner_id == bob.id] == [before[1], before[3]]
        assert [job.owner_id for job in after] == [alice.id, bob.id, alice.id, bob.id, alice.id]


# What the page says.


@pytest.mark.django_db
def test_nobody_runs_a_worker() -> None:
    told = waiting_now(make_job(make_user()))
    assert told.sentence.startswith("Waiting for a worker: none is running.")
    assert told.starts_in_seconds is None


@pytest.mark.django_db
def test_a_job_that_is_next() -> None:
    job = make_job(make_user())
    make_worker()
    assert waiting_now(job) == (0, 0.0, "This one is next: a worker takes it within seconds.")


@pytest.mark.django_db
def test_a_job_that_was_given_back_says_so() -> None:
    job = make_job(make_user())
    job_hand_back(claim(), reason="")
    job.refresh_from_db()
    assert waiting_now(job).sentence.startswith("A worker gave it back. This one is next")


@pytest.mark.django_db
def test_the_rest_of_the_running_job_is_waited_for() -> None:
    alice = make_user()
    make_job(alice)
    job = make_job(alice)
    job_record(claim(), [stepped(3, seconds_left=90.0)])
    told = waiting_now(job)
    assert (told.num_ahead, told.starts_in_seconds) == (0, 90.0)
    assert told.sentence.startswith("Waiting: 1 job is running and this one is next. Expected to start in about ")


@pytest.mark.django_db
@pytest.mark.parametrize("workers", [{"one": 2}, {"one": 1, "two": 1}])
def test_the_first_of_two_slots_that_is_free_counts(workers: dict[str, int]) -> None:
    """Whether both belong to one worker or to two."""
    alice = make_user()
    for name, slots in workers.items():
        make_worker(name, slots=slots)
    names = [name for name, slots in workers.items() for _slot in range(slots)]
    for name, seconds_left in zip(names, (300.0, 40.0), strict=True):
        make_job(alice)
        job = job_claim(make_worker(name, slots=workers[name]))
        assert job
        job_record(job, [stepped(3, seconds_left=seconds_left)])
    assert waiting_now(make_job(alice)).starts_in_seconds == 40.0
    assert new_job_starts_in(alice, list(Worker.objects.all()), 1) is None, "how long the waiting job takes is unknown"
    Job.objects.waiting().delete()
    assert new_job_starts_in(alice, list(Worker.objects.all()), 1) == 40.0


@pytest.mark.django_db
def test_a_job_on_two_gpus_holds_both() -> None:
    card = Device(kind="gpu", name="A GPU", memory_bytes=10**10, uuid="GPU-1").model_dump()
    worker = make_worker(devices_json=[card, card], slots=2)
    make_job(make_user(), num_processes=2)
    running = job_claim(worker)
    assert running
    job_record(running, [stepped(3, seconds_left=90.0)])
    assert waiting_now(make_job(make_user("bob"))).starts_in_seconds == 90.0


@pytest.mark.django_db
def test_jobs_ahead_take_what_jobs_like_them_took() -> None:
    """As long as the last one with this base model and method, by rows and epochs."""
    alice = make_user()
    cost = make_verdict().cost.model_copy(update={"total_seconds": 200})
    make_succeeded(alice, verdict_with(cost=cost.model_dump()))
    make_job(alice)
    job_record(claim(), [stepped(3, seconds_left=60.0)])
    make_job(alice)
    last = make_job(alice)
    told = waiting_now(last)
    assert (told.num_ahead, told.starts_in_seconds) == (1, pytest.approx(260))
    assert told.sentence.startswith("Waiting: 1 job goes before this one. Expected to start in about ")


@pytest.mark.django_db
def test_an_unknown_duration_is_not_told() -> None:
    alice = make_user()
    make_job(alice)
    last = make_job(alice)
    make_worker()
    assert waiting_now(last) == (1, None, "Waiting: 1 job goes before this one. It starts by itself.")


@pytest.mark.django_db
def test_a_job_that_rests_after_a_crash_says_how_long() -> None:
    make_worker()
    job = make_job(make_user(), not_before=database_now() + timedelta(seconds=40))
    told = waiting_now(job)
    assert told.starts_in_seconds == pytest.approx(40, abs=15)
    assert "before it is tried again" in told.sentence


@pytest.mark.django_db
def test_paused_workers_are_told() -> None:
    make_worker()
    Worker.objects.update(intent=Intent.PAUSED)
    assert "are paused by an admin" in waiting_now(make_job(make_user())).sentence


@pytest.mark.django_db
def test_a_high_priority_passes_everybody() -> None:
    alice = make_user()
    make_job(alice)
    high = make_job(make_user("bob"), priority=Priority.HIGH)
    make_worker()
    assert waiting_now(high).num_ahead == 0
    assert claim().id == high.id


@pytest.mark.django_db
def test_a_job_on_several_gpus_begins_when_enough_are_free_and_says_so() -> None:
    card = Device(kind="gpu", name="A GPU", memory_bytes=10**10, uuid="GPU-1").model_dump()
    worker = make_worker(devices_json=[card, card], slots=2)
    running, wide = make_job(make_user()), make_job(make_user("bob"), num_processes=2)
    assert waiting_now(running).sentence.startswith("This one is next")
    assert job_claim(worker) == running
    sentence = waiting_now(wide).sentence
    assert sentence == (
        "Waiting: 1 job is running and this one is next. It starts by itself when 2 GPUs of one worker are free."
    )
