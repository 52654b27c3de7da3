"""How many processes a job wants; one for all that were accepted before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0006_started_from")]
    operations = [migrations.AddField("job", "num_processes", models.PositiveSmallIntegerField(default=1))]
