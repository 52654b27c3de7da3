"""Removes the plain secrets, also from the pages that SQLite keeps for later use."""

from django.db import migrations


def freed_pages_drop(_apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("VACUUM")
        # What the write-ahead log still holds goes when it is emptied.
        schema_editor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class Migration(migrations.Migration):
    atomic = False  # VACUUM runs in no transaction.
    dependencies = [("webhooks", "0002_seal_secrets")]
    operations = [
        migrations.RemoveField("webhook", "secret"),
        migrations.RunPython(freed_pages_drop, elidable=True),
    ]
