"""What the database itself refuses, whoever asks."""

from itertools import product
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection

from tests.databases import new_database, using_database
from tests.factories import make_job, make_user
from webapp.jobs import terminal_guard
from webapp.jobs.models import OVER, Job, State


def set_state_behind_our_back(job: Job, state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET state = %s WHERE id = %s", [state, _id_of(job)])


def _id_of(job: Job) -> str:
    return job.id.hex if connection.vendor == "sqlite" else str(job.id)


@pytest.mark.parametrize(("was", "to"), [pair for pair in product(OVER, State) if pair[0] != pair[1]])
def test_an_ended_job_stays_as_it_ended(either_database: str, was: State, to: State) -> None:
    job = make_job(make_user(), state=was)
    with pytest.raises(DatabaseError, match="an ended job stays as it ended"):
        set_state_behind_our_back(job, to)
    with pytest.raises(DatabaseError, match="an ended job stays as it ended"):
        Job.objects.filter(id=job.id).update(state=to)
    job.refresh_from_db()
    assert job.state == was


def test_an_ended_job_may_still_be_renamed_and_deleted(either_database: str) -> None:
    job = make_job(make_user(), state=State.FAILED)
    job.name = "Renamed"
    job.save()
    assert Job.objects.get().name == "Renamed"
    job.delete()
    assert not Job.objects.exists()


def test_an_unknown_state_or_wish_is_refused(either_database: str) -> None:
    job = make_job(make_user())
    with pytest.raises(IntegrityError, match="state_is_known"):
        set_state_behind_our_back(job, "lost")
    with pytest.raises(IntegrityError, match="asked_is_known"):
        Job.objects.filter(id=job.id).update(asked="explode")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_table_made_anew_gets_its_guard_back(engine: str, django_db_blocker: Any) -> None:
    """SQLite makes a table anew for many a migration, and the triggers are gone."""
    with django_db_blocker.unblock(), using_database(new_database(engine)):
        job = make_job(make_user(), state=State.CANCELLED)
        with connection.cursor() as cursor:
            on = "" if engine == "sqlite" else "ON jobs_job"
            cursor.execute(f"DROP TRIGGER job_stays_over {on}")
        call_command("migrate", verbosity=0, interactive=False)
        with pytest.raises(DatabaseError, match="an ended job stays as it ended"):
            set_state_behind_our_back(job, State.QUEUED)


def test_a_database_without_jobs_is_left_alone(django_db_blocker: Any) -> None:
    """As in the middle of the very first migration."""
    with django_db_blocker.unblock(), using_database(new_database("sqlite"), migrate=False):
        terminal_guard.install("default")
        assert connection.introspection.table_names() == []
