from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('workers', '0002_join_tokens'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='worker',
            name='token_sha256',
        ),
    ]
