"""What to call the operations of the official SDK's generated client with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.api.factories import now

BEGINNING = "2020-01-01T00:00:00Z"
TOMORROW = (now() + timedelta(days=1)).isoformat()

VALUES: dict[str, Any] = {
    "additional_metadata": ["team:a"],
    "attempt": 1,
    "created_after": BEGINNING,
    "created_before": TOMORROW,
    "cron_name": "nightly",
    "depth": 2,
    "finished_after": BEGINNING,
    "finished_before": TOMORROW,
    "group_key": "a",
    "idempotency_keys": ["a"],
    "include_num_pages": True,
    "include_operators": True,
    "include_orchestrator_events": True,
    "include_payloads": True,
    "is_enabled_if_no_posthog": True,
    "key": "api",
    "keys": ["order:paid"],
    "labels": ["gpu:a100"],
    "last_id": 1,
    "limit": 5,
    "name": "greet",
    "offset": 0,
    "payload": "bytes",
    "ref": "a",
    "scopes": ["eu"],
    "search": "a",
    "since": BEGINNING,
    "source_names": ["GENERIC"],
    "task_names": ["greet"],
    "until": TOMORROW,
    "webhook_names": ["orders"],
    "workflow_name": "greet",
}
"""By the names of parameters; ids are beside them."""

IDS = {
    "durable_task": "durable",
    "event": "event",
    "event_id": "event",
    "event_ids": "event",
    "event_with_tenant": "event",
    "parent_step_run_id": "done",
    "parent_task_external_id": "done",
    "parent_workflow_run_id": "done",
    "run_external_id": "done",
    "step_ids": "step",
    "step_run": "done",
    "task_external_ids": "done",
    "triggering_event_external_id": "event",
    "v1_event": "event",
    "v1_workflow_run": "done",
    "v1_filter": "filter",
    "v1_webhook": "webhook",
    "webhook": "unknown",
    "worker_id": "worker",
    "workflow_id": "workflow",
    "workflow_ids": "workflow",
    "workflow_run": "done",
    "workflows": "workflow",
    "dag_ids": "graph",
    "external_ids": "done",
    "task": "done",
    "cron_workflow": "cron",
    "scheduled_workflow_run": "schedule",
}
"""Which resource a parameter names; those that are not here are named as the parameter is."""

LISTS = {"dag_ids", "event_ids", "external_ids", "step_ids", "task_external_ids", "workflow_ids"}
LISTS |= {"workflows"}

MADE_BY = {
    "alert_email_group": "alert_email_group_create",
    "sns": "sns_create",
    "tenant_invite": "tenant_invite_create",
}
"""Resources of which the operation itself makes the one that others are called with."""

AS_A_PERSON = (
    "api_token_",
    "metadata_list_integrations",
    "tenant_create",
    "tenant_invite_",
    "tenant_member",
    "user_",
)
"""Beginnings of operations that a token may not call."""

NEEDS_OTHERS = {
    "slack_webhook_delete",
    "sns_update",
    "tenant_invite_accept",
    "tenant_invite_reject",
    "user_create",
    "user_update_github_oauth_callback",
    "user_update_github_oauth_start",
    "user_update_google_oauth_callback",
    "user_update_google_oauth_start",
    "user_update_slack_oauth_callback",
    "user_update_slack_oauth_start",
}
"""They need somebody else's server, another person, or configuration; here they may be refused."""

UNREADABLE = {"tenant_member_delete"}
"""The SDK wants to read something from a 204, where there cannot be anything."""


def bodies(ids: dict[str, str]) -> dict[str, Any]:
    """By the names of parameters."""
    event = {"key": "order:paid", "data": {"n": 1}}
    update = {"id": ids["schedule"], "triggerAt": TOMORROW}
    pause = {
        "action": "pause",
        "pausedWorkflowCronRunQueueBehavior": "DROP",
        "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
        "pausedWorkflowQueueTTL": "1h",
    }
    cron = {"cronName": "made", "cronExpression": "0 3 * * *"}
    later = {"input": {"a": 1}, "additionalMetadata": {"team": "a"}}
    filter_of = {"workflowId": ids["workflow"], "expression": "true", "scope": "made"}
    return _runs(ids) | {
        "bulk_create_event_request": {"events": [event]},
        "cancel_event_request": {"eventIds": [ids["event"]]},
        "create_cron_workflow_trigger_request": later | cron,
        "create_event_request": event,
        "replay_event_request": {"eventIds": [ids["event"]]},
        "schedule_workflow_run_request": later | {"triggerAt": TOMORROW},
        "scheduled_workflows_bulk_delete_request": {"scheduledWorkflowRunIds": [ids["spare"]]},
        "scheduled_workflows_bulk_update_request": {"updates": [update]},
        "update_cron_workflow_trigger_request": {"enabled": False},
        "update_scheduled_workflow_run_request": {"triggerAt": TOMORROW},
        "v1_cel_debug_request": {"expression": "input.n == 1", "input": {"n": 1}},
        "v1_create_filter_request": filter_of,
        "v1_create_webhook_request": {
            "authType": "BASIC",
            "auth": {"username": "contract", "password": "a secret"},
            "eventKeyExpression": "'orders'",
            "name": "made",
            "sourceName": "GENERIC",
        },
        "v1_update_filter_request": {"scope": "b"},
        "v1_update_webhook_request": {"scopeExpression": "'s'"},
        "workflow_update_request": {"pause": pause},
    }


def _runs(ids: dict[str, str]) -> dict[str, Any]:
    return {
        "replay_workflow_runs_request": {"workflowRunIds": [ids["done"]]},
        "rerun_step_run_request": {"input": {}},
        "trigger_workflow_run_request": {"input": {}},
        "v1_branch_durable_task_request": {
            "taskExternalId": ids["durable"],
            "nodeId": 1,
            "branchId": 1,
        },
        "v1_cancel_task_request": {"externalIds": [ids["graph"]]},
        "v1_replay_task_request": {"externalIds": [ids["failed"]]},
        "v1_trigger_workflow_run_request": {"workflowName": "greet", "input": {"who": "sdk"}},
        "workflow_runs_cancel_request": {"workflowRunIds": [ids["done"]]},
    }


def bodies_of_people(ids: dict[str, str], email: str, password: str) -> dict[str, Any]:
    endpoint = {"healthcheckUrl": "https://a.test/h", "triggerUrl": "https://a.test/t"}
    secret = {"signingSecret": "s" * 32}
    return {
        "accept_invite_request": {"invite": ids["tenant_invite"]},
        "create_api_token_request": {"name": "contract", "expiresIn": "72h"},
        "create_sns_integration_request": {"topicArn": "arn:aws:sns:eu-west-1:123456789012:orders"},
        "create_tenant_alert_email_group_request": {"emails": ["alerts@acme.test"]},
        "create_tenant_invite_request": {"email": "new@acme.test", "role": "MEMBER"},
        "create_tenant_request": {"name": "Third", "slug": "third"},
        "reject_invite_request": {"invite": ids["tenant_invite"]},
        "update_tenant_alert_email_group_request": {"emails": ["others@acme.test"]},
        "update_tenant_invite_request": {"role": "VIEWER"},
        "update_tenant_member_request": {"role": "VIEWER"},
        "update_tenant_request": {"name": "Acme two"},
        "update_worker_request": {"isPaused": True},
        "user_change_password_request": {"password": password, "newPassword": "Better-horse-8"},
        "user_login_request": {"email": email, "password": password},
        "user_register_request": {"name": "R", "email": "r@acme.test", "password": "Correct-8-r"},
        "v1_create_serverless_endpoint_request": {"name": "a", **endpoint, **secret},
        "v1_update_serverless_endpoint_request": {"name": "b"},
        "webhook_worker_create_request": {"name": "w", "url": "https://a.test"},
    }


def only_here(ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Arguments that an operation takes otherwise than its parameters' names say."""
    return {
        "cron_workflow_trigger_create": {"workflow": "greet"},
        "scheduled_workflow_run_create": {"workflow": "greet"},
        "tenant_member_delete": {"member": ids["other_member"]},
        "v1_task_restore": {"task": ids["durable"]},
        "v1_webhook_receive": {
            "v1_webhook": "open",
            "_headers": {
                "X-Key": "a secret",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        },
        "workflow_scheduled_delete": {"scheduled_workflow_run": ids["schedule_to_delete"]},
        "workflow_scheduled_trigger": {"scheduled_workflow_run": ids["schedule_to_run"]},
    }
