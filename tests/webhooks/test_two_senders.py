"""Two senders at once, each with a connection of its own, on a database in a file as in life."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.db import connection

from tests.factories import make_user
from tests.webhooks.receiver import Receiver, receiving
from webapp.clock import database_now
from webapp.webhooks.models import Notice
from webapp.webhooks.services import notices_add, notices_deliver, webhook_add


@pytest.fixture
def senders_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """SQLite in memory is shared by threads only under locks that no file has; so the tables move into one."""
    if connection.vendor != "sqlite":
        yield
        return
    path = tmp_path / "test.sqlite3"
    connection.ensure_connection()
    in_memory, name = connection.connection, connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path)) as copy:
        in_memory.backup(copy)
    connection.connection, connection.settings_dict["NAME"] = None, str(path)
    yield
    connection.close()
    connection.connection, connection.settings_dict["NAME"] = in_memory, name


def test_two_senders_at_once_deliver_each_notice_once(senders_database: None, private_allowed: None) -> None:
    num_notices, sent, ready = 12, [0, 0], Barrier(2)
    owner = make_user()

    def sender(number: int) -> None:
        now = database_now()
        ready.wait(30)
        try:
            sent[number] = notices_deliver(now)
        finally:
            connection.close()

    with receiving(Receiver(200, way="slow")) as receiver:
        webhook_add(owner, receiver.url)
        for number in range(num_notices):
            notices_add(owner, "job.succeeded", {"job": number})
        threads = [Thread(target=sender, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    ids = [delivery.headers["Graftwork-Delivery"] for delivery in receiver.deliveries]
    assert len(ids) == len(set(ids)) == sum(sent) == num_notices
    assert Notice.objects.waiting().count() == 0
