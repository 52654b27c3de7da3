"""The database's clock: the one clock that web, workers and reconcilers on all machines share."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """Now, by the database. A worker whose own clock is wrong changes nothing by it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
            return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
