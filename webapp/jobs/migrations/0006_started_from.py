"""The adapter that a job goes on from."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("adapters", "0002_checked"), ("jobs", "0005_estimate")]
    operations = [
        migrations.AddField(
            "job",
            "started_from",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="continued_by",
                to="adapters.adapterversion",
            ),
        )
    ]
