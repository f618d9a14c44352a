"""Tasks that run together."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0014_shared_strategies"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="batch_id",
            field=models.UUIDField(blank=True, null=True),
        ),
    ]
