"""Who sweeps, and when a sweep leaves everybody alone."""

from datetime import timedelta

import pytest
from django.conf import settings

from tests.factories import make_job, make_user
from tests.jobs.made import claim
from webapp.clock import database_now
from webapp.jobs.attempts import job_renew
from webapp.jobs.models import Job, LeaderLease, State
from webapp.upkeep.leader import is_quiet, turn_note, turn_take
from webapp.upkeep.sweep import Sweeper

SECOND = timedelta(seconds=1)


@pytest.fixture
def silent_job(db: None) -> Job:
    """In the hands of a worker that has not renewed for a lease."""
    make_job(make_user())
    claim()
    Job.objects.update(lease_expires_at=database_now() - SECOND)
    return Job.objects.get()


def let_pass(span: timedelta) -> None:
    """As if the last sweep, and what it noted, had been that much earlier."""
    lease = LeaderLease.objects.get()
    for name in ("expires_at", "swept_at", "quiet_until"):
        then = getattr(lease, name)
        setattr(lease, name, then and then - span)
    lease.save()


def is_taken_away(job: Job) -> bool:
    job.refresh_from_db()
    return job.state == State.QUEUED


@pytest.mark.django_db
def test_one_of_two_sweeps_until_it_rests_too_long() -> None:
    now = database_now()
    turn = settings.TIMING.turn_span
    assert turn_take("a", now)
    assert not turn_take("b", now + turn - SECOND)
    assert turn_take("a", now + turn - SECOND)
    assert not turn_take("b", now + turn + SECOND)
    assert turn_take("b", now + 2 * turn)
    assert not turn_take("a", now + 2 * turn)


@pytest.mark.django_db
def test_two_sweepers_take_turns_when_one_falls_silent() -> None:
    one, two = Sweeper("a"), Sweeper("b")
    assert [one.sweep(), two.sweep(), one.sweep()] == [True, False, True]
    let_pass(settings.TIMING.turn_span + SECOND)
    assert [two.sweep(), one.sweep()] == [True, False]


def test_the_first_start_of_all_expires_what_an_older_version_left(silent_job: Job) -> None:
    assert Sweeper("a").sweep()
    assert is_taken_away(silent_job)


def test_nobody_has_to_wait_after_the_first_sweep(silent_job: Job) -> None:
    """A worker that dies in the first minute of an installation is noticed as any other."""
    Job.objects.update(lease_expires_at=database_now() + 3600 * SECOND)
    sweeper = Sweeper("a")
    sweeper.sweep()
    Job.objects.update(lease_expires_at=database_now() - SECOND)
    sweeper.sweep()
    assert is_taken_away(silent_job)


def test_a_reconciler_that_died_delays_nobodys_rescue(silent_job: Job) -> None:
    """Its turn has to end first; but that is no outage, after which one would have to wait for a whole lease."""
    Job.objects.update(lease_expires_at=database_now() + 3600 * SECOND)
    Sweeper("a").sweep()
    let_pass(settings.TIMING.turn_span + settings.TIMING.sweep * SECOND)
    Job.objects.update(lease_expires_at=database_now() - SECOND)
    assert Sweeper("b").sweep()
    assert is_taken_away(silent_job)


def test_after_an_outage_nothing_is_expired_for_one_lease(silent_job: Job) -> None:
    """Nobody could renew; live workers get the time to."""
    Job.objects.update(lease_expires_at=database_now() + 3600 * SECOND)
    sweeper = Sweeper("a")
    sweeper.sweep()
    let_pass(settings.TIMING.longest_gap + SECOND)
    Job.objects.update(lease_expires_at=database_now() - SECOND, state_deadline=database_now() - SECOND)
    for _sweep in range(3):
        assert sweeper.sweep()
        assert not is_taken_away(silent_job)
    assert job_renew(silent_job)
    Job.objects.update(state_deadline=None)
    let_pass(settings.TIMING.longest_gap - SECOND)
    sweeper.sweep()
    let_pass(settings.TIMING.lease_span - settings.TIMING.longest_gap)
    assert sweeper.sweep()
    assert not is_taken_away(silent_job)


def test_the_quiet_time_ends_and_the_dead_are_found(silent_job: Job) -> None:
    sweeper = Sweeper("a")
    LeaderLease.objects.create(name="reconciler", swept_at=database_now() - timedelta(hours=1))
    sweeper.sweep()
    assert not is_taken_away(silent_job)
    LeaderLease.objects.update(quiet_until=database_now() - SECOND)
    sweeper.sweep()
    assert is_taken_away(silent_job)


@pytest.mark.django_db
def test_a_sweeper_that_slept_through_its_turn_feigns_no_outage() -> None:
    """It took its turn, was frozen for two minutes, and notes the end of a sweep from long ago."""
    long_ago = database_now() - timedelta(minutes=2)
    assert turn_take("a", long_ago)
    now = database_now()
    assert turn_take("b", now)
    assert not is_quiet(now)
    turn_note(now)
    turn_note(long_ago)
    assert not is_quiet(now + SECOND)
    assert not turn_take("a", long_ago)
