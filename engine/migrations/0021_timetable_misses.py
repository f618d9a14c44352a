import django.db.models.deletion
from django.db import migrations, models

import engine.ids


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0020_durable_task_restored_count"),
    ]

    operations = [
        migrations.AddField(
            model_name="cron",
            name="missed",
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="schedule",
            name="failure",
            field=models.TextField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="CronMiss",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("cause", models.SmallIntegerField()),
                ("detail", models.TextField()),
                ("count", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                (
                    "cron",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="misses",
                        to="engine.cron",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["cron", "id"], name="cron_miss_by_cron")],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE engine_cronmiss ADD CONSTRAINT cron_miss_of_cron"
            " FOREIGN KEY (cron_id) REFERENCES engine_cron (id) ON DELETE CASCADE",
            migrations.RunSQL.noop,
        ),
    ]
