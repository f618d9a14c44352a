from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

from tenants.audit.triggers import audited_table

SQL = (Path(__file__).parent / "sql" / "0009_resource_limits.sql").read_text()
UNDO = """
DROP FUNCTION tenants_take(uuid[], bigint[], text, bigint, bigint, timestamptz);
DROP FUNCTION tenants_hold(uuid, text, bigint, bigint, bigint);
DROP FUNCTION tenants_lock_limit(uuid, text);
DROP FUNCTION tenants_refuse_beyond(uuid, text, bigint, bigint, bigint);
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_retention")]

    operations = [
        migrations.CreateModel(
            name="ResourceLimit",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "resource",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("resource", models.TextField()),
                ("limit_value", models.BigIntegerField(blank=True, null=True)),
                ("alarm_value", models.BigIntegerField(blank=True, null=True)),
                ("value", models.BigIntegerField(db_default=0, default=0)),
                ("window_began_at", models.DateTimeField(blank=True, null=True)),
                ("announced", models.SmallIntegerField(db_default=0, default=0)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="resource_limits",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(SQL, UNDO),
        migrations.RunSQL(
            *audited_table(
                "tenants_resourcelimit",
                "resource_limit",
                shown=["limit_value", "alarm_value"],
                ignored=["tenant_id", "resource", "value", "window_began_at", "announced"],
                identity="resource",
                name="{row}.resource",
                on="UPDATE",
            )
        ),
    ]
