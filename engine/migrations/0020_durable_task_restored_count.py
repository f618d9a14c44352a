from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0019_durable_task_passed_nodes"),
    ]

    operations = [
        migrations.AddField(
            model_name="durabletask",
            name="restored_count",
            field=models.IntegerField(db_default=0, default=0),
        ),
    ]
