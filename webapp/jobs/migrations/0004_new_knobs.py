"""Recipes made before there were these knobs get the values they were trained with."""

from django.db import migrations

EVERY = {"patience": 0, "gradient_checkpointing": "no"}
OF_METHOD = {"lora": {"variant": "lora", "init": "default", "quantised": "no"}}


def fill(apps, schema_editor):
    Job = apps.get_model("jobs", "Job")
    for job in Job.objects.only("id", "recipe_json").iterator():
        recipe = job.recipe_json
        recipe["knobs"] = {**EVERY, **OF_METHOD.get(recipe["method"], {}), **recipe["knobs"]}
        Job.objects.filter(id=job.id).update(recipe_json=recipe)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_rows_sha256")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
