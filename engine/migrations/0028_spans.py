from pathlib import Path

from django.db import migrations, models

import engine.ids

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("engine", "0027_event_targets")]
    operations = [
        migrations.CreateModel(
            name="Span",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("run_id", models.UUIDField(blank=True, null=True)),
                ("retry_count", models.IntegerField()),
                ("trace_id", models.UUIDField()),
                ("span_id", models.BigIntegerField()),
                ("parent_span_id", models.BigIntegerField(blank=True, null=True)),
                ("name", models.TextField()),
                ("kind", models.SmallIntegerField()),
                ("status", models.SmallIntegerField()),
                ("status_message", models.TextField()),
                ("service_name", models.TextField()),
                ("scope_name", models.TextField()),
                ("scope_version", models.TextField()),
                ("started_at", models.DateTimeField()),
                ("duration_ns", models.BigIntegerField()),
                ("resource_attributes", models.TextField()),
                ("attributes", models.TextField()),
                ("events", models.TextField()),
            ],
        ),
        migrations.RunSQL(
            (SQL / "0028_spans.sql").read_text(), (SQL / "0028_spans_reverse.sql").read_text()
        ),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(fields=["tenant_id", "trace_id"], name="span_by_trace"),
        ),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(fields=["tenant_id", "run_id"], name="span_by_run"),
        ),
    ]
