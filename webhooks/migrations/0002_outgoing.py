import django.contrib.postgres.fields
import django.db.models.deletion
import engine.ids
from django.db import migrations, models
from pathlib import Path

SQL = (Path(__file__).parent / "sql" / "0002_outgoing.sql").read_text()
UNDO = """
DROP FUNCTION webhooks_note_new_runs() CASCADE;
DROP FUNCTION webhooks_note_changed_runs() CASCADE;
DROP FUNCTION webhooks_note_worker() CASCADE;
"""
"""Their triggers with them: they would fail with the tables gone."""


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0023_worker_stalled_since"),
        ("webhooks", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("url", models.TextField()),
                ("description", models.TextField(blank=True, default="")),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None
                    ),
                ),
                (
                    "workflow_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                ("secret", models.BinaryField()),
                ("previous_secret", models.BinaryField(blank=True, null=True)),
                ("previous_expires_at", models.DateTimeField(blank=True, null=True)),
                ("pause_reason", models.TextField(blank=True, default="")),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["tenant", "id"], name="endpoint_by_tenant")]},
        ),
        migrations.CreateModel(
            name="Occurrence",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField()),
                ("kind", models.TextField()),
                ("subject_id", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("data", models.JSONField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("message_id", models.UUIDField(unique=True)),
                ("tenant_id", models.UUIDField()),
                ("kind", models.TextField()),
                ("subject_id", models.UUIDField(blank=True, null=True)),
                ("at", models.DateTimeField()),
                ("body", models.BinaryField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["subject_id"],
                        condition=models.Q(kind="worker.lost"),
                        name="message_of_lost_worker",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="Dispatch",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("endpoint_id", models.UUIDField()),
                ("message_id", models.UUIDField()),
                ("position", models.BigIntegerField()),
                ("subject_id", models.UUIDField(blank=True, null=True)),
                ("state", models.TextField()),
                ("due_at", models.DateTimeField()),
                ("claim_id", models.UUIDField(blank=True, null=True)),
                ("tries", models.SmallIntegerField(default=0)),
                ("attempts", models.IntegerField(default=0)),
                ("status", models.SmallIntegerField(blank=True, null=True)),
                ("error", models.TextField(blank=True, default="")),
                ("log", models.JSONField(default=list)),
                ("created_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["endpoint_id", "due_at"],
                        condition=models.Q(state="PENDING"),
                        name="dispatch_due",
                    ),
                    models.Index(
                        fields=["endpoint_id", "subject_id", "position"],
                        condition=models.Q(state="PENDING"),
                        name="dispatch_of_subject",
                    ),
                    models.Index(fields=["message_id"], name="dispatch_of_message"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["endpoint_id", "position"], name="dispatch_in_order"
                    )
                ],
            },
        ),
        migrations.RunSQL(SQL, UNDO),
    ]
