"""The one door through which a job changes its state."""

import ast
from pathlib import Path

import pytest
from django.db import transaction

from tests.factories import make_job, make_user
from tests.jobs.made import claim, make_running
from webapp.jobs.endings import job_hand_back
from webapp.jobs.models import ACTIVE, OVER, Job, JobEvent, State
from webapp.jobs.transition import MOVES, transition

PROJECT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted(
    path
    for path in [*PROJECT.glob("webapp/**/*.py"), *PROJECT.glob("worker/**/*.py")]
    if "errands" not in path.parts  # an errand is no job and has states of its own
)
NAME_OF_THE_DOOR = "webapp/jobs/transition.py"


def writes_of_state(source: str) -> list[int]:
    """Lines that could set a column `state`: a keyword of a writing call, an attribute, a name in a list to write."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if _writes_in_call(name, node):
                found.append(node.lineno)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Attribute) and target.attr == "state" for target in targets):
            found.append(node.lineno)
    return sorted(found)


def _writes_in_call(name: str, call: ast.Call) -> bool:
    if name == "setattr":
        return any(isinstance(word, ast.Constant) and word.value == "state" for word in call.args)
    if name in ("update", "create", "get_or_create", "update_or_create", "Job"):
        return any(keyword.arg == "state" for keyword in call.keywords)
    if name == "bulk_update":
        return any(isinstance(word, ast.Constant) and word.value == "state" for word in ast.walk(call))
    return False


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nobody_else_writes_a_state(path: Path) -> None:
    is_door = path == PROJECT / NAME_OF_THE_DOOR
    is_migration = path.parent.name == "migrations"
    lines = [] if is_migration else writes_of_state(path.read_text())
    assert len(lines) == is_door, f"{path.relative_to(PROJECT)} writes `state` in line {lines}"


@pytest.mark.parametrize(
    "source",
    [
        "Job.objects.filter(id=1).update(state='queued')",
        "job.state = State.QUEUED",
        "setattr(job, 'state', 'queued')",
        "Job.objects.bulk_update(jobs, ['name', 'state'])",
        "Job(state='queued')",
    ],
)
def test_every_way_to_write_one_would_be_found(source: str) -> None:
    assert writes_of_state(source) == [1]


def test_the_table_of_moves_knows_every_state() -> None:
    assert MOVES.keys() == set(State)
    assert {state for state, after in MOVES.items() if not after} == set(OVER)


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    def reachable(states: set[State]) -> set[State]:
        more = states.union(*(MOVES[state] for state in states))
        return states if more == states else reachable(more)

    assert reachable({State.QUEUED}) == set(State)
    assert all(reachable({state}) & set(OVER) for state in State)


def test_a_worker_holds_no_job_that_is_not_in_an_active_state() -> None:
    """Only the claim leads into them."""
    assert {state for state, after in MOVES.items() if after & set(ACTIVE) and state not in ACTIVE} == {State.QUEUED}
    assert MOVES[State.QUEUED] & set(ACTIVE) == {State.STARTING}


@pytest.mark.django_db
def test_a_move_that_is_not_in_the_table_is_our_mistake() -> None:
    job = make_job(make_user())
    with pytest.raises(AssertionError, match="queued -> succeeded"):
        transition(job, State.SUCCEEDED, actor="worker", reason="")


@pytest.mark.django_db
def test_what_comes_with_a_move_happens_with_it_or_not_at_all() -> None:
    job = make_running(make_user())

    def also() -> None:
        JobEvent.objects.create(job=job, seq=99, attempt=1, at=job.created_at, kind="moved", data={})
        raise RuntimeError("not after all")

    with pytest.raises(RuntimeError):
        transition(job, State.FINALIZING, actor="worker", reason="", also=also)
    assert Job.objects.get().state == State.RUNNING
    assert not job.events.filter(seq=99).exists()


@pytest.mark.django_db
def test_a_loser_runs_nothing_that_comes_with_the_move() -> None:
    stale = make_running(make_user())
    job_hand_back(Job.objects.get(), reason="")
    happened: list[int] = []
    assert not transition(stale, State.FINALIZING, actor="worker", reason="", also=lambda: happened.append(1))
    assert happened == []


def test_who_sleeps_after_a_commit_does_not_wake_up_with_another_attempt(
    either_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is frozen just after its claim; meanwhile another got the job."""
    make_job(make_user())
    refresh, is_first = Job.refresh_from_db, [True]

    def refresh_late(job: Job, *words: object, **more: object) -> None:
        if is_first.pop() if is_first else False:
            job_hand_back(Job.objects.get(), reason="")
            assert claim("two").attempt == 2
        refresh(job, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Job, "refresh_from_db", refresh_late)
    sleeper = claim("one")
    assert sleeper.attempt == 1
    assert not job_hand_back(sleeper, reason="")
    assert Job.objects.get().attempt == 2 and Job.objects.get().state == State.STARTING


@pytest.mark.django_db
def test_a_move_inside_a_larger_transaction_goes_with_it() -> None:
    job = make_job(make_user())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert transition(job, State.PAUSED, actor="person", reason="")
        raise ZeroDivisionError
    assert Job.objects.get().state == State.QUEUED
