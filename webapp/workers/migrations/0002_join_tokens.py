"""Join tokens get rows of their own. One that a worker had before can be used for another day, by one machine."""

from datetime import timedelta

import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone


def take_over(apps, schema_editor):
    now = timezone.now()
    tokens = apps.get_model("workers", "JoinToken").objects
    for worker in apps.get_model("workers", "Worker").objects.exclude(token_sha256=""):
        tokens.create(
            worker=worker, sha256=worker.token_sha256, created_at=now, expires_at=now + timedelta(days=1)
        )


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='JoinToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha256', models.CharField(max_length=64, unique=True)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
                ('used_from', models.CharField(blank=True, max_length=300)),
                ('key_sha256', models.CharField(blank=True, max_length=64)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('worker', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='join_tokens', to='workers.worker')),
            ],
            options={
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.RunPython(take_over, migrations.RunPython.noop),
    ]
