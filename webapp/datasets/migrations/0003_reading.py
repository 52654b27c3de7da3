from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0002_checked'),
    ]

    operations = [
        migrations.AlterField(
            model_name='upload',
            name='format',
            field=models.CharField(default='', max_length=10),
        ),
        migrations.AlterField(
            model_name='upload',
            name='columns',
            field=models.JSONField(default=list),
        ),
        migrations.AlterField(
            model_name='upload',
            name='num_rows',
            field=models.IntegerField(default=0),
        ),
        # Uploads that are there already were read when they came.
        migrations.AddField(
            model_name='upload',
            name='is_read',
            field=models.BooleanField(default=True),
        ),
        migrations.AlterField(
            model_name='upload',
            name='is_read',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='upload',
            name='refusal',
            field=models.JSONField(null=True),
        ),
    ]
