import django.contrib.postgres.fields
import engine.ids
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0024_answered_requests"),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkAction",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=engine.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("kind", models.SmallIntegerField()),
                ("state", models.SmallIntegerField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "statuses",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.SmallIntegerField(), size=None
                    ),
                ),
                (
                    "workflow_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), size=None
                    ),
                ),
                (
                    "metadata_keys",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None
                    ),
                ),
                (
                    "metadata_values",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None
                    ),
                ),
                ("needs_every_pair", models.BooleanField()),
                ("total", models.IntegerField()),
                ("done", models.IntegerField(default=0)),
                ("changed", models.IntegerField(default=0)),
                ("collisions", models.IntegerField(default=0)),
                ("cursor", models.UUIDField(blank=True, null=True)),
                ("error", models.TextField(default="")),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant_id", "id"], name="bulk_action_by_tenant"),
                    models.Index(
                        condition=models.Q(("state", 1)),
                        fields=["updated_at"],
                        name="bulk_action_running",
                    ),
                ],
            },
        ),
    ]
