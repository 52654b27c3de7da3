"""A join token: for one machine, once, for a while; the machine that used it comes back without a new one."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.databases import new_database, using_database
from webapp.clock import database_now
from webapp.workers.join_tokens import (
    TokenRefused,
    join_token_make,
    join_token_revoke,
    join_token_use,
)
from webapp.workers.models import JoinToken, Worker
from webapp.workers.rules import Refused
from webapp.workers.services import worker_add, worker_retire
from webapp.workers.worker_key import WorkerKey

MINE, THEIRS = "m" * 43, "t" * 43


def use(token: str, key: str = MINE) -> Worker:
    return join_token_use(token, key, host="box.example (192.0.2.7)")


def expire() -> None:
    JoinToken.objects.update(expires_at=database_now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_only_the_hashes_of_token_and_key_are_kept() -> None:
    worker, token = worker_add(name="Box-1", labels=["EU", "eu", " fast "])
    assert (worker.name, worker.labels) == ("box-1", ["eu", "fast"])
    assert use(token) == worker
    kept = str([*Worker.objects.values(), *JoinToken.objects.values()])
    assert token not in kept and MINE not in kept


@pytest.mark.django_db
def test_a_used_token_lets_no_other_machine_in_and_says_who_used_it() -> None:
    _worker, token = worker_add(name="box")
    use(token)
    with pytest.raises(TokenRefused, match=r"was used on .* by the worker “box” on box.example \(192.0.2.7\)"):
        use(token, THEIRS)


@pytest.mark.django_db
def test_the_machine_that_used_it_comes_back_whenever_it_starts_again() -> None:
    """Also where the answer to its first request was lost: its key was kept before it asked."""
    worker, token = worker_add(name="box")
    use(token)
    expire()
    assert use(token) == use(token) == worker


@pytest.mark.django_db
def test_an_expired_token_says_so() -> None:
    _worker, token = worker_add(name="box")
    expire()
    with pytest.raises(TokenRefused, match="expired on"):
        use(token)


@pytest.mark.django_db
@pytest.mark.parametrize("is_used", [True, False])
def test_a_revoked_token_says_so(is_used: bool) -> None:
    _worker, token = worker_add(name="box")
    if is_used:
        use(token)
    assert join_token_revoke(JoinToken.objects.get())
    assert not join_token_revoke(JoinToken.objects.get())
    with pytest.raises(TokenRefused, match="was revoked on"):
        use(token)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "x", "0" * 64])
def test_no_worker_is_found_by_a_made_up_token(token: str) -> None:
    worker_add(name="box")
    with pytest.raises(TokenRefused, match="not known"):
        use(token)


@pytest.mark.django_db
def test_a_new_token_ends_an_unused_one_at_once_and_a_used_one_when_it_is_used() -> None:
    worker, first = worker_add(name="box")
    _row, second = join_token_make(worker.id)
    with pytest.raises(TokenRefused, match="replaced by a newer one"):
        use(first)
    use(second)
    _row, third = join_token_make(worker.id)
    assert use(second) == worker
    assert use(third, THEIRS) == worker
    with pytest.raises(TokenRefused, match="replaced by a newer one"):
        use(second)


@pytest.mark.django_db
def test_retiring_a_worker_ends_its_tokens() -> None:
    worker, token = worker_add(name="box")
    use(token)
    worker_retire(worker.id)
    with pytest.raises(TokenRefused, match="revoked"):
        use(token)
    with pytest.raises(Refused, match="retired"):
        join_token_make(worker.id)


def test_of_two_machines_at_once_one_gets_in(either_database: str) -> None:
    for number in range(5):
        _worker, token = worker_add(name=f"box-{number}")
        outcomes: list[str] = []

        def try_it(key: str, token: str = token, outcomes: list[str] = outcomes) -> None:
            try:
                use(token, key)
                outcomes.append("in")
            except TokenRefused as error:
                outcomes.append("used" if "was used" in str(error) else str(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=try_it, args=[letter * 43]) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["in", "used", "used", "used"]


def test_a_key_is_kept_for_its_owner_alone_and_is_another_one_on_each_machine(tmp_path: Path) -> None:
    key = WorkerKey(tmp_path, "token", "box")
    assert key.is_new and len(key.text) >= 43
    assert (key.path.stat().st_mode & 0o777, key.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = WorkerKey(tmp_path, "token", "box")
    assert (again.text, again.is_new) == (key.text, False)
    assert WorkerKey(tmp_path, "token", "other").text != key.text != WorkerKey(tmp_path, "other", "box").text
    assert "token" not in str(list(key.path.parent.iterdir()))


def test_a_data_folder_that_cannot_hold_the_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "worker_keys").write_text("")
    with pytest.raises(Refused, match="cannot be kept in"):
        WorkerKey(tmp_path, "token", "box")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_tokens_of_an_older_version_can_be_used_for_another_day(engine: str, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), using_database(new_database(engine), migrate=False):
        call_command("migrate", "workers", "0001", interactive=False, verbosity=0)
        with connection.cursor() as cursor:
            worker = Worker(name="old")
            fields = [field for field in Worker._meta.concrete_fields if field.column != "id"]
            columns = ", ".join(["id", "token_sha256", *(field.column for field in fields)])
            values = [field.get_db_prep_save(field.pre_save(worker, True), connection) for field in fields]
            ident = worker.id.hex if engine == "sqlite" else str(worker.id)
            marks = ", ".join(["%s"] * (len(values) + 2))
            cursor.execute(f"INSERT INTO workers_worker ({columns}) VALUES ({marks})", [ident, "f" * 64, *values])
        call_command("migrate", interactive=False, verbosity=0)
        token = JoinToken.objects.get()
        assert (token.sha256, token.worker.name, token.used_at) == ("f" * 64, "old", None)
        assert token.expires_at - token.created_at == timedelta(days=1)
