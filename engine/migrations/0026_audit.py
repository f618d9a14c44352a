from django.db import migrations

from tenants.audit.triggers import audited_table

_WORKFLOW_NAME = "(SELECT name FROM engine_workflow WHERE id = {row}.workflow_id)"
_TIMES = ["created_at", "updated_at"]


class Migration(migrations.Migration):
    dependencies = [("engine", "0025_bulk_actions"), ("tenants", "0006_audit")]

    operations = [
        migrations.RunSQL(
            *audited_table(
                "engine_workflow",
                "workflow",
                shown=[
                    "name",
                    "description",
                    "is_paused",
                    "paused_cron_behavior",
                    "paused_scheduled_behavior",
                    "paused_ttl_seconds",
                    "deleted_at",
                ],
                ignored=["id", "tenant_id", *_TIMES],
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_workflowversion",
                "workflow",
                shown=["id", "order"],
                ignored=["workflow_id", "checksum", "definition", "created_at"],
                identity="workflow_id",
                name=_WORKFLOW_NAME,
                tenant="(SELECT tenant_id FROM engine_workflow WHERE id = {row}.workflow_id)",
                on="INSERT",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_cron",
                "cron",
                shown=[
                    "workflow_id",
                    "name",
                    "expression",
                    "priority",
                    "is_enabled",
                    "is_declared",
                    "missed",
                ],
                withheld=["input", "additional_metadata"],
                ignored=["id", "tenant_id", "due_at", "fired_at", *_TIMES],
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_schedule",
                "schedule",
                shown=["workflow_id", "trigger_at", "priority"],
                withheld=["input", "additional_metadata"],
                ignored=[
                    "id",
                    "tenant_id",
                    "due_at",
                    "parent_run_id",
                    "parent_task_id",
                    "child_index",
                    "child_key",
                    "run_id",
                    "failure",
                    *_TIMES,
                ],
                name=_WORKFLOW_NAME,
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_filter",
                "filter",
                shown=["workflow_id", "scope", "expression", "is_declared"],
                withheld=["payload"],
                ignored=["id", "tenant_id", "digest", *_TIMES],
                name=_WORKFLOW_NAME,
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_ratelimit",
                "rate_limit",
                shown=["limit_value", "window"],
                ignored=[
                    "tenant_id",
                    "key",
                    "value",
                    "refilled_at",
                    "paused_until",
                    "is_dynamic",
                    *_TIMES,
                ],
                identity="key",
                name="{row}.key",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_worker",
                "worker",
                shown=["is_paused"],
                ignored=[
                    "id",
                    "tenant_id",
                    "name",
                    "actions",
                    "slots",
                    "labels",
                    "is_active",
                    "engine_id",
                    "last_heartbeat_at",
                    "last_listener_at",
                    "sdk_version",
                    "language",
                    "language_version",
                    "os",
                    "runtime_extra",
                    "stalled_since",
                    *_TIMES,
                ],
                on="UPDATE",
            )
        ),
        migrations.RunSQL(
            *audited_table(
                "engine_bulkaction",
                "bulk_action",
                shown=["kind", "state", "since", "until", "statuses", "workflow_ids", "total"],
                withheld=["metadata_keys", "metadata_values"],
                ignored=[
                    "id",
                    "tenant_id",
                    "needs_every_pair",
                    "done",
                    "changed",
                    "collisions",
                    "cursor",
                    "error",
                    "started_at",
                    "finished_at",
                    *_TIMES,
                ],
                name="NULL::text",
            )
        ),
    ]
