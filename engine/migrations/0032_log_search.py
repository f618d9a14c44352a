from pathlib import Path

from django.db import migrations, models

SQL = (Path(__file__).parent / "sql" / "0032_log_search.sql").read_text()
UNDO = """
DROP TRIGGER engine_logline_tally ON engine_logline;
DROP FUNCTION engine_tally_log_lines();
"""


class Migration(migrations.Migration):
    dependencies = [("engine", "0031_figures")]

    operations = [
        migrations.AddField(
            model_name="logline",
            name="step_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="LogTally",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField()),
                ("step_id", models.UUIDField()),
                ("minute", models.DateTimeField()),
                ("level", models.SmallIntegerField()),
                ("lines", models.IntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant_id", "minute"], name="log_tally_by_minute")
                ],
            },
        ),
        migrations.RunSQL(SQL, UNDO),
        migrations.AddIndex(
            model_name="logline",
            index=models.Index(fields=["tenant_id", "id"], name="log_line_by_tenant"),
        ),
        migrations.AddIndex(
            model_name="logline",
            index=models.Index(
                condition=models.Q(("level__gte", 3)),
                fields=["tenant_id", "id"],
                name="log_line_grave",
            ),
        ),
    ]
