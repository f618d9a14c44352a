from pathlib import Path

from django.db import migrations, models

import engine.ids

_SQL = Path(__file__).with_name("sql") / "0029_sealed_payloads.sql"


class Migration(migrations.Migration):
    dependencies = [("engine", "0028_spans")]

    operations = [
        migrations.CreateModel(
            name="TenantKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("wrapped", models.BinaryField()),
                ("master", models.TextField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["tenant_id", "id"], name="tenant_key_by_tenant")],
            },
        ),
        migrations.CreateModel(
            name="PayloadStore",
            fields=[
                ("location", models.TextField(primary_key=True, serialize=False)),
                ("used_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(_SQL.read_text(), "DROP FUNCTION engine_payload_length(bytea)"),
    ]
