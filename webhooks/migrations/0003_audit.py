from django.db import migrations

from tenants.audit.triggers import audited_table


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_outgoing"), ("tenants", "0006_audit")]

    operations = [
        migrations.RunSQL(
            *audited_table(
                "webhooks_webhook",
                "webhook",
                shown=[
                    "name",
                    "source_name",
                    "event_key_expression",
                    "scope_expression",
                    "returns_event",
                    "auth_type",
                    "header_name",
                    "algorithm",
                    "encoding",
                ],
                withheld=["secret", "static_payload"],
                ignored=["id", "tenant_id", "created_at", "updated_at"],
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "webhooks_endpoint",
                "endpoint",
                shown=["url", "description", "kinds", "workflow_ids", "pause_reason", "paused_at"],
                withheld=["secret", "previous_secret"],
                ignored=[
                    "id",
                    "tenant_id",
                    "previous_expires_at",
                    "failing_since",
                    "not_before",
                    "created_at",
                    "updated_at",
                ],
                name="{row}.url",
            )
        ),
    ]
