from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0018_durable_entry_recorded_after"),
    ]

    operations = [
        migrations.AddField(
            model_name="durabletask",
            name="passed_nodes",
            field=models.TextField(blank=True, null=True),
        ),
    ]
