"""Seals the secrets that older versions kept as they are."""

from django.db import migrations, models

from webapp.sealing import seal


def secrets_seal(apps, _schema_editor):
    for webhook in apps.get_model("webhooks", "Webhook").objects.all():
        webhook.sealed_secret = seal(webhook.secret)
        webhook.save(update_fields=["sealed_secret"])


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]
    operations = [
        migrations.AddField("webhook", "sealed_secret", models.TextField(default=""), preserve_default=False),
        migrations.RunPython(secrets_seal, elidable=True),
    ]
