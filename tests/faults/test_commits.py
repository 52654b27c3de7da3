"""F8: the commit of an adapter dies at every single point, and nobody ever sees half of one."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_job, make_user
from tests.faults.scene import Scene, a_day_passes
from tests.faults.stub_engine import Stub
from tests.jobs.made import claim
from webapp import storage
from webapp.accounts.models import User
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.adapters.services import adapter_store, finished_attempt
from webapp.adapters.wholeness import version_is_whole
from webapp.clock import database_now
from webapp.contract.held_out import read_held_out
from webapp.jobs.attempts import job_finalize
from webapp.jobs.models import Job, State
from webapp.jobs.reconcile import leases_expire
from worker.job_dir import job_dir_lay_out


def finished_job() -> None:
    """Its engine is done; its adapter is about to be kept."""
    make_job(make_user())
    job = claim("one")
    Stub(job_dir_lay_out(job, print), {"steps": "2", "files": "4"}, False).commit()
    assert job_finalize(job)


@pytest.fixture
def scene(sqlite_database: str, tmp_path: Path) -> Scene:
    return Scene(tmp_path, finished_job)


def given_to_another() -> tuple[Job, Job]:
    """The attempt that died, as it remembers itself, and the next one: the lease ran out meanwhile."""
    dead = Job.objects.get()
    Job.objects.update(lease_expires_at=database_now() - timedelta(seconds=1))
    assert leases_expire(database_now()) == 1
    Job.objects.update(not_before=None)
    return dead, claim("two")


def kept_folders() -> set[str]:
    return {path.name for path in storage.adapters_dir().iterdir()} if storage.adapters_dir().exists() else set()


def test_wherever_keeping_an_adapter_dies_one_whole_adapter_is_kept_in_the_end(scene: Scene) -> None:
    ended_before: list[bool] = []

    def check(point: int) -> None:
        is_over = Job.objects.get().is_over
        ended_before.append(is_over)
        if not is_over:
            assert_nothing_is_seen()
            recover()
        assert Job.objects.get().state == State.SUCCEEDED, point
        version = AdapterVersion.objects.get()
        assert version_is_whole(version), point
        assert len(list(read_held_out(Job.objects.get().held_out_path))) == 60, point
        a_day_passes(storage.adapters_dir())
        assert kept_folders() == {str(version.id)} and version_is_whole(version), point

    points = scene.die_everywhere("keep_adapter", check)
    assert points >= 20
    # Until the one commit that shows it the job is not over, from then on it is.
    assert ended_before == sorted(ended_before) and set(ended_before) == {False, True}


def assert_nothing_is_seen() -> None:
    assert Job.objects.get().state == State.FINALIZING
    assert not Adapter.objects.exists() and not AdapterVersion.objects.exists()
    client = Client()
    client.force_login(User.objects.get())
    assert "No adapter" in client.get(reverse("adapter-list")).content.decode()


def recover() -> None:
    """Another worker finds the finished work; the first one wakes and is told that it is no longer its own."""
    dead, again = given_to_another()
    made = finished_attempt(again)
    assert made == storage.attempt_dir(again.id, 1)
    before = kept_folders()
    assert adapter_store(dead, dead.attempt_dir) is None
    assert kept_folders() == before and not AdapterVersion.objects.exists()
    assert job_finalize(again) and adapter_store(again, made)


def test_an_end_that_was_recorded_unheard_is_not_taken_back(scene: Scene) -> None:
    """The database did it and the answer was lost: asked again, the files stay."""
    with scene.opened():
        job = Job.objects.get()

        def unheard(end: Callable[[], bool]) -> bool:
            assert end()
            job.state = State.FINALIZING
            return end()

        version = adapter_store(job, job.attempt_dir, tell=unheard)
        assert version and version_is_whole(version)
        assert kept_folders() == {str(version.id)}


def test_a_database_that_is_away_for_long_does_not_fill_the_disk_with_copies(scene: Scene) -> None:
    with scene.opened():
        job = Job.objects.get()
        seen: list[set[str]] = []
        version = adapter_store(job, job.attempt_dir, tell=lambda end: seen.append(kept_folders()) or end())
        assert version and seen == [{str(version.id)}]
