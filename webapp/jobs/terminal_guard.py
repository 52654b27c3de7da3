"""The database's own refusal to let an ended job move: a trigger, so that no forgotten line of ours can.

Installed after every migration, since SQLite loses a table's triggers whenever the table is made anew.
"""

from typing import Any

from django.db import connections

from webapp.jobs.models import OVER

_OVER = ", ".join(f"'{state.value}'" for state in OVER)

_SQLITE = (
    "DROP TRIGGER IF EXISTS job_stays_over",
    f"""CREATE TRIGGER job_stays_over BEFORE UPDATE OF state ON jobs_job
        WHEN OLD.state IN ({_OVER}) AND NEW.state <> OLD.state
        BEGIN SELECT RAISE(ABORT, 'an ended job stays as it ended'); END""",
)
_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION job_stays_over() RETURNS trigger AS $$
        BEGIN RAISE EXCEPTION 'an ended job stays as it ended' USING ERRCODE = 'check_violation'; END
        $$ LANGUAGE plpgsql""",
    "DROP TRIGGER IF EXISTS job_stays_over ON jobs_job",
    f"""CREATE TRIGGER job_stays_over BEFORE UPDATE ON jobs_job FOR EACH ROW
        WHEN (OLD.state IN ({_OVER}) AND NEW.state IS DISTINCT FROM OLD.state)
        EXECUTE FUNCTION job_stays_over()""",
)


def install(using: str, **_: Any) -> None:
    """A receiver of `post_migrate`."""
    connection = connections[using]
    if "jobs_job" not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        for statement in _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL:
            cursor.execute(statement)
