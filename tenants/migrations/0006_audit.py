from pathlib import Path

from django.db import migrations, models
from django.db.models.functions import Now

from tenants.audit.triggers import audited_table

SQL = (Path(__file__).parent / "sql" / "0006_audit.sql").read_text()
UNDO = """
DROP FUNCTION audit_remove_before(timestamptz, integer);
DROP FUNCTION audit_change(text, text, uuid, text, text, jsonb, jsonb);
DROP FUNCTION audit_shortened(jsonb);
DROP FUNCTION audit_refuse_change() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_api_token_scopes")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField(null=True)),
                ("at", models.DateTimeField(db_default=Now())),
                ("actor_kind", models.TextField()),
                ("actor_id", models.TextField(db_default="")),
                ("actor_name", models.TextField(db_default="")),
                ("action", models.TextField()),
                ("resource_kind", models.TextField()),
                ("resource_id", models.TextField(db_default="")),
                ("resource_name", models.TextField(db_default="")),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("address", models.TextField(db_default="")),
                ("user_agent", models.TextField(db_default="")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant_id", "id"], name="audit_by_tenant"),
                    models.Index(
                        fields=["tenant_id", "resource_kind", "resource_id", "id"],
                        name="audit_by_resource",
                    ),
                    models.Index(fields=["tenant_id", "actor_id", "id"], name="audit_by_actor"),
                    models.Index(fields=["tenant_id", "action", "id"], name="audit_by_action"),
                    models.Index(fields=["at"], name="audit_by_time"),
                ],
            },
        ),
        migrations.RunSQL(SQL, UNDO),
        migrations.RunSQL(
            *audited_table(
                "tenants_tenant",
                "tenant",
                shown=["name", "slug", "environment", "archived_at", "deleted_at"],
                ignored=["id", "created_at", "updated_at"],
                tenant="{row}.id",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "tenants_user",
                "user",
                shown=["email", "name", "is_active", "is_email_verified", "is_email_proven"],
                withheld=["password"],
                ignored=["id", "last_login", "created_at", "updated_at"],
                name="{row}.email",
                tenant="NULL::uuid",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "tenants_member",
                "member",
                shown=["user_id", "role", "can_view_payloads", "is_by_group"],
                ignored=["id", "tenant_id", "created_at", "updated_at"],
                name="(SELECT email FROM tenants_user WHERE id = {row}.user_id)",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "tenants_apitoken",
                "token",
                shown=["name", "scope", "expires_at", "revoked_at", "replaced_by_id"],
                ignored=[
                    *("id", "tenant_id", "is_internal", "last_used_at", "created_at", "updated_at")
                ],
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "tenants_tenantinvite",
                "invite",
                shown=["email", "role", "can_view_payloads", "status", "is_mailed", "expires_at"],
                withheld=["link_digest"],
                ignored=["id", "tenant_id", "invited_by_id", "created_at", "updated_at"],
                name="{row}.email",
            )
        ),
    ]
