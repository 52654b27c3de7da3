"""What was foretold of a job when it was accepted, to be held against what it took."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0004_new_knobs")]
    operations = [migrations.AddField("job", "estimate_json", models.JSONField(null=True))]
