"""Errands: asked once, done by one worker, and never lost nor done for ever."""

from datetime import timedelta

import pytest

from tests.errands.made import claim, claimed, let_lease_run_out
from tests.factories import make_worker
from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.errands.attempts import (
    MOST_LOST,
    errand_beat,
    errand_claim,
    errand_done,
    errand_failed,
    errand_hand_back,
    errand_stopped,
    worker_errands_release,
)
from webapp.errands.models import Errand, Kind, State
from webapp.errands.services import (
    FORGOTTEN_AFTER,
    MOST_WAITING,
    TooManyErrands,
    errand_ask,
    errand_asked,
    errand_stop,
    errands_are_served,
    errands_forget,
)
from webapp.workers.models import Intent

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def ask(user: User, **payload: object) -> Errand:
    return errand_asked(Kind.PREVIEW, payload, answers_kept=DAY) or errand_ask(user, Kind.PREVIEW, payload)


def state_of(errand: Errand) -> str:
    errand.refresh_from_db()
    return errand.state


def test_one_worker_takes_it_and_answers(alice: User) -> None:
    asked = ask(alice, row=1)
    errand = claimed("one")
    assert errand == asked
    assert claim("two") is None
    assert errand_done(errand, {"tokens": 7})
    assert state_of(asked) == State.DONE
    assert asked.result == {"tokens": 7}
    assert asked.finished_at


def test_the_oldest_comes_first_and_only_kinds_that_are_asked_for(alice: User) -> None:
    first, _second = ask(alice, row=1), ask(alice, row=2)
    assert claim(kind=Kind.LOOK_AT_MODEL) is None
    assert claimed() == first


def test_the_bell_rings_once_it_is_committed(
    alice: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    rings: list[str] = []
    monkeypatch.setattr("webapp.errands.services.wake_workers", lambda: rings.append("ring"))
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        ask(alice, row=1)
        assert rings == []
    assert rings == ["ring"]


def test_a_worker_that_goes_silent_loses_it_to_another(alice: User) -> None:
    ask(alice, row=1)
    silent = claimed("one")
    let_lease_run_out(silent)
    other = claimed("two")
    assert (other.id, other.attempt, other.num_lost) == (silent.id, 2, 1)
    assert not errand_beat(silent).is_mine
    assert not errand_done(silent, {"tokens": 1})
    assert not errand_failed(silent, "No.")
    assert state_of(other) == State.RUNNING


def test_a_beat_keeps_it_and_tells_how_far_it_is(alice: User) -> None:
    ask(alice, row=1)
    errand = claimed()
    let_lease_run_out(errand)
    assert errand_beat(errand, {"sentence": "Half.", "done": 1, "total": 2}).is_mine
    assert claim("two") is None
    errand.refresh_from_db()
    assert errand.percent == 50


def test_it_is_given_up_once_it_took_three_workers_with_it(alice: User) -> None:
    errand = ask(alice, row=1)
    for _ in range(MOST_LOST):
        let_lease_run_out(claimed())
    assert claim() is None
    assert state_of(errand) == State.FAILED
    assert "vanished 3 times" in errand.error


def test_handing_back_counts_against_nobody(alice: User) -> None:
    errand = ask(alice, row=1)
    for _ in range(MOST_LOST + 1):
        assert errand_hand_back(claimed())
    assert (state_of(errand), errand.num_lost) == (State.WAITING, 0)


def test_a_worker_that_starts_anew_gives_back_what_it_held(alice: User) -> None:
    errand = ask(alice, row=1)
    claimed("one")
    assert worker_errands_release(make_worker("one")) == 1
    assert claimed("two") == errand


def test_one_that_waits_stops_at_once_and_one_that_runs_when_its_worker_hears(alice: User) -> None:
    waiting, running = ask(alice, row=1), ask(alice, row=2)
    errand_stop(waiting)
    assert state_of(waiting) == State.STOPPED
    mine = claimed()
    errand_stop(running)
    assert errand_beat(mine) == (True, True)
    assert errand_stopped(mine)
    assert state_of(running) == State.STOPPED


def test_one_that_nobody_wants_any_more_is_not_begun_again(alice: User) -> None:
    errand = ask(alice, row=1)
    lost = claimed()
    errand_stop(errand)
    let_lease_run_out(lost)
    assert claim() is None
    assert state_of(errand) == State.STOPPED


def test_the_same_question_is_asked_once(alice: User, bob: User) -> None:
    errand = ask(alice, row=1)
    assert ask(bob, row=1) == errand
    assert ask(alice, row=2) != errand
    errand_done(claimed(), {})
    assert ask(alice, row=1) == errand


def test_an_old_answer_is_asked_for_anew(alice: User) -> None:
    errand = ask(alice, row=1)
    errand_done(claimed(), {})
    Errand.objects.update(finished_at=database_now() - DAY - timedelta(seconds=1))
    assert ask(alice, row=1) != errand


def test_a_failure_is_told_for_some_minutes_before_it_is_tried_again(alice: User) -> None:
    errand = ask(alice, row=1)
    errand_failed(claimed(), "No template.")
    assert ask(alice, row=1) == errand
    Errand.objects.update(finished_at=database_now() - timedelta(minutes=6))
    assert ask(alice, row=1) != errand


def test_nobody_fills_the_queue(alice: User, bob: User) -> None:
    for row in range(MOST_WAITING):
        ask(alice, row=row)
    with pytest.raises(TooManyErrands):
        ask(alice, row=MOST_WAITING)
    assert ask(bob, row=MOST_WAITING)


@pytest.mark.parametrize("intent", [Intent.PAUSED, Intent.DRAINING, Intent.RETIRED])
def test_a_worker_that_shall_not_work_takes_none(alice: User, intent: Intent) -> None:
    errand = ask(alice, row=1)
    make_worker("one")
    assert errands_are_served()
    make_worker("one", intent=intent)
    assert not errands_are_served()
    assert errand_claim(make_worker("one", intent=intent), [Kind.PREVIEW]) is None
    assert state_of(errand) == State.WAITING


def test_old_ones_are_forgotten_and_moving_ones_kept(alice: User) -> None:
    now = database_now()
    done, in_vain, running = ask(alice, row=1), ask(alice, row=2), ask(alice, row=3)
    Errand.objects.filter(id=done.id).update(state=State.DONE, finished_at=now - FORGOTTEN_AFTER - DAY)
    Errand.objects.filter(id=in_vain.id).update(created_at=now - FORGOTTEN_AFTER - DAY)
    Errand.objects.filter(id=running.id).update(state=State.RUNNING, created_at=now - FORGOTTEN_AFTER - DAY)
    assert errands_forget(now) == 2
    assert list(Errand.objects.all()) == [running]
