"""The database's own refusal to change or delete entries of the audit log: triggers, so that no forgotten line of ours
and no SQL by hand does it by mistake.

Installed after every migration, since SQLite loses a table's triggers whenever the table is made again. PostgreSQL's
TRUNCATE, which Django's `flush` uses, is not refused: it is the owner's way to empty a database as a whole.
"""

from typing import Any

from django.db import connections

_REFUSAL = "the audit log is append-only"

SQLITE = tuple(
    statement
    for verb in ("UPDATE", "DELETE")
    for statement in (
        f"DROP TRIGGER IF EXISTS audit_no_{verb.lower()}",
        f"""CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit_auditentry
            BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    )
)
POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger AS $$
        BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'insufficient_privilege'; END
        $$ LANGUAGE plpgsql""",
    "DROP TRIGGER IF EXISTS audit_append_only ON audit_auditentry",
    """CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_auditentry
        FOR EACH ROW EXECUTE FUNCTION audit_append_only()""",
)


def install(using: str, **_: Any) -> None:
    """A receiver of `post_migrate`."""
    connection = connections[using]
    if "audit_auditentry" not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        for statement in SQLITE if connection.vendor == "sqlite" else POSTGRESQL:
            cursor.execute(statement)
