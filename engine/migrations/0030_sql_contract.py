import django.db.models.deletion
import engine.ids
from django.db import migrations, models
from pathlib import Path

from tenants.audit.triggers import audited_table

SQL = Path(__file__).parent / "sql"
CONTRACT = (SQL / "hatchet_v1.sql").read_text()
ROLES = (SQL / "hatchet_v1_roles.sql").read_text()
"""The roles are the server's, not the database's: undoing leaves them, without rights here."""


def _contract(apps, schema_editor):
    """The functions name tables by their schema, which may be another than `public`."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        (schema,) = cursor.fetchone()
    schema_editor.execute(CONTRACT.replace("public.", f"{schema}."), params=None)


def _undo(apps, schema_editor):
    schema_editor.execute("DROP SCHEMA hatchet_v1 CASCADE")


class Migration(migrations.Migration):
    dependencies = [("engine", "0029_sealed_payloads"), ("tenants", "0006_audit")]

    operations = [
        migrations.CreateModel(
            name="OutboxKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "digest",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("digest", models.BinaryField(max_length=32)),
                ("owner_id", models.UUIDField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["expires_at"], name="outbox_key_expiry")],
            },
        ),
        migrations.CreateModel(
            name="OutboxRow",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("kind", models.SmallIntegerField()),
                ("name", models.TextField()),
                ("data", models.BinaryField(null=True)),
                ("metadata", models.TextField(blank=True, null=True)),
                ("priority", models.SmallIntegerField(blank=True, null=True)),
                ("scope", models.TextField(blank=True, null=True)),
                ("target_id", models.UUIDField(blank=True, null=True)),
                ("retry_count", models.IntegerField(blank=True, null=True)),
                ("trigger_at", models.DateTimeField(blank=True, null=True)),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("size", models.IntegerField()),
                ("role", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("failure", models.TextField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", 4)),
                        fields=("target_id",),
                        name="outbox_one_completion",
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", True), ("failed_at__isnull", True)),
                        fields=["tenant_id", "id"],
                        name="outbox_ready",
                    ),
                    models.Index(
                        condition=models.Q(("due_at__isnull", False), ("failed_at__isnull", True)),
                        fields=["due_at"],
                        name="outbox_due",
                    ),
                    models.Index(
                        condition=models.Q(("failed_at__isnull", False)),
                        fields=["tenant_id", "id"],
                        name="outbox_failed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SqlRole",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("role", models.TextField()),
                ("created_at", models.DateTimeField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("role", "tenant"), name="sql_role_once_per_tenant"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_sqlrole",
                "sql_role",
                shown=["role"],
                ignored=["id", "tenant_id", "created_at"],
                name="{row}.role",
            )
        ),
        migrations.RunPython(_contract, _undo),
        migrations.RunSQL(ROLES, migrations.RunSQL.noop),
    ]
