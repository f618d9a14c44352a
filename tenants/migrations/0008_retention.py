import django.db.models.deletion
from django.db import migrations, models

from tenants.audit.triggers import audited_table


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_alert_settings")]

    operations = [
        migrations.CreateModel(
            name="RetentionPeriod",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "kind",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.TextField()),
                ("seconds", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention_periods",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(
            *audited_table(
                "tenants_retentionperiod",
                "retention",
                shown=["kind", "seconds"],
                ignored=["tenant_id"],
                identity="kind",
                name="{row}.kind",
            )
        ),
    ]
