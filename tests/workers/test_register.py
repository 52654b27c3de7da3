"""A process takes a name, and no two living ones have the same."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection

from tests.workers.made import CPU, ELSEWHERE, HERE, gpu, make_worker, register
from webapp.clock import database_now
from webapp.contract.devices import Load
from webapp.contract.version import RECIPE_VERSION, graftwork_version
from webapp.workers.models import LOADS_KEPT, LOST_AFTER, Health, Worker
from webapp.workers.rules import Refused
from webapp.workers.services import worker_goodbye, worker_heartbeat, worker_retire

ME = {"host": HERE, "pid": os.getpid()}


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The number of another living process on this machine."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.mark.django_db
def test_a_new_worker_tells_what_it_is() -> None:
    worker = register("box")
    assert (worker.version, worker.recipe_version) == (graftwork_version(), RECIPE_VERSION)
    assert worker.devices == [CPU] and worker.slots == 1
    assert worker.health(database_now()) is Health.ONLINE


@pytest.mark.django_db
def test_it_gets_one_slot_a_gpu_until_an_admin_chooses() -> None:
    devices = (gpu(1), gpu(2), gpu(3))
    worker = register("box", devices=devices)
    assert worker.slots == 3
    Worker.objects.update(slots=2)
    assert register("box", devices=devices).slots == 2


@pytest.mark.django_db
def test_slots_shrink_with_the_machine() -> None:
    register("box", devices=(gpu(1), gpu(2)))
    assert register("box", devices=(gpu(1),)).slots == 1


@pytest.mark.django_db
def test_a_living_process_elsewhere_keeps_its_name() -> None:
    register("box", host=ELSEWHERE, pid=7)
    with pytest.raises(Refused, match=rf"process 7 on {ELSEWHERE}.*GRAFTWORK_WORKER_NAME=box-2"):
        register("box")


@pytest.mark.django_db
def test_a_silent_process_elsewhere_loses_its_name() -> None:
    register("box", host=ELSEWHERE, pid=7)
    Worker.objects.update(heartbeat_at=database_now() - LOST_AFTER - timedelta(seconds=1))
    assert register("box").host == HERE


@pytest.mark.django_db
def test_a_process_that_said_goodbye_gives_its_name_back_at_once() -> None:
    worker = register("box", host=ELSEWHERE, pid=7)
    worker_goodbye(worker.id, host=ELSEWHERE, pid=7)
    assert register("box").stopped_at is None


@pytest.mark.django_db
def test_a_killed_process_on_this_machine_gives_its_name_back_at_once() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    register("box", pid=dead.pid)
    assert register("box").pid == os.getpid()


@pytest.mark.django_db
def test_a_living_process_on_this_machine_keeps_its_name(sleeper: int) -> None:
    register("box", pid=sleeper)
    with pytest.raises(Refused, match=f"process {sleeper} on"):
        register("box")


@pytest.mark.django_db
def test_a_process_that_only_inherited_the_number_does_not(sleeper: int) -> None:
    register("box", pid=sleeper)
    Worker.objects.update(started_at=database_now() - timedelta(hours=1))
    assert register("box").pid == os.getpid()


@pytest.mark.django_db
def test_a_retired_name_is_not_given_again() -> None:
    worker_retire(register("box").id)
    with pytest.raises(Refused, match="retired"):
        register("box")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "-box", "a" * 64, "box 1", "böx", "box/1", "box\n1"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="cannot be a worker's name"):
        register(name)


@pytest.mark.django_db
def test_of_its_loads_the_latest_are_kept() -> None:
    worker = register("box")
    for second in range(LOADS_KEPT + 3):
        assert worker_heartbeat(worker.id, Load(at=second), **ME)
    worker.refresh_from_db()
    assert [load.at for load in worker.loads] == list(range(3, LOADS_KEPT + 3))


@pytest.mark.django_db
def test_a_process_that_lost_its_name_is_told_and_changes_nothing() -> None:
    worker = make_worker("box", host=ELSEWHERE, pid=7)
    assert worker_heartbeat(worker.id, Load(at=1), **ME) is None
    worker_goodbye(worker.id, **ME)
    worker.refresh_from_db()
    assert worker.loads == [] and worker.stopped_at is None


def test_of_eight_processes_that_want_a_name_at_once_one_gets_it(either_database: str) -> None:
    results: list[str] = []
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        barrier.wait()
        try:
            results.append(register("box", host=f"host-{number}", pid=number).host)
        except Refused:
            results.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[1:] == ["refused"] * 7
    assert Worker.objects.get().host == min(results)
