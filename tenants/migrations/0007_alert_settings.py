from django.db import migrations, models

from tenants.audit.triggers import audited_table

SHOWN = ["name", "slug", "environment", "archived_at", "deleted_at"]
IGNORED = ["id", "created_at", "updated_at"]
ADDED = [
    *("alert_frequency_seconds", "alerts_members", "alerts_of_failures", "alerts_of_tokens"),
    "alerts_of_limits",
]


def audited(shown, ignored):
    make, _ = audited_table(
        "tenants_tenant", "tenant", shown=shown, ignored=ignored, tenant="{row}.id"
    )
    return make


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_audit")]

    operations = [
        migrations.AddField(
            "tenant",
            "alert_frequency_seconds",
            models.IntegerField(default=3_600, db_default=3_600),
        ),
        migrations.AddField(
            "tenant", "alerts_members", models.BooleanField(default=True, db_default=True)
        ),
        migrations.AddField(
            "tenant", "alerts_of_failures", models.BooleanField(default=False, db_default=False)
        ),
        migrations.AddField(
            "tenant", "alerts_of_tokens", models.BooleanField(default=True, db_default=True)
        ),
        migrations.AddField(
            "tenant", "alerts_of_limits", models.BooleanField(default=True, db_default=True)
        ),
        migrations.AddField(
            "tenant", "last_alerted_at", models.DateTimeField(null=True, blank=True)
        ),
        migrations.AddIndex(
            "tenant",
            models.Index(
                fields=["id"],
                condition=models.Q(alerts_of_failures=True),
                name="tenant_told_of_failures",
            ),
        ),
        migrations.RunSQL(
            audited([*SHOWN, *ADDED], [*IGNORED, "last_alerted_at"]), audited(SHOWN, IGNORED)
        ),
    ]
