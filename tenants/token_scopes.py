"""Which token may call what: one table for gRPC and one for REST.

A full token may call whatever is not for people alone. What is in no table is for full tokens alone, and a test fails
until it has its place.
"""

from __future__ import annotations

from collections.abc import Mapping

from tenants.models import TokenScope

Scopes = frozenset[TokenScope]


def _with_full(*others: TokenScope) -> Scopes:
    return frozenset({TokenScope.FULL, *others})


ONLY_FULL = _with_full()
_ONLY_PEOPLE: Scopes = frozenset()
_ANY = frozenset(TokenScope)
_READING = _with_full(TokenScope.READ_ONLY)
_STARTING = _with_full(TokenScope.TRIGGER_ONLY)
_WORKING = _with_full(TokenScope.WORKER_ONLY)
_FOLLOWING = _READING | _WORKING
"""Workers wait for the children of their tasks."""
_STARTING_OR_FOR_A_TASK = _STARTING | _WORKING
"""Workers may start children of a task; `engine.rpc` looks at the request."""


def _by_name(table: Mapping[Scopes, tuple[str, ...]]) -> dict[str, Scopes]:
    return {name: scopes for scopes, names in table.items() for name in names}


RPCS = _by_name(
    {
        _ANY: ("Dispatcher.GetVersion",),
        _FOLLOWING: (
            "Dispatcher.SubscribeToWorkflowEvents",
            "Dispatcher.SubscribeToWorkflowRuns",
            "v1.AdminService.GetRunDetails",
        ),
        _STARTING: (
            "EventsService.Push",
            "EventsService.BulkPush",
            "EventsService.ReplaySingleEvent",
            "v1.AdminService.TriggerWorkflowRun",
        ),
        _STARTING_OR_FOR_A_TASK: (
            "WorkflowService.TriggerWorkflow",
            "WorkflowService.BulkTriggerWorkflow",
            "WorkflowService.ScheduleWorkflow",
            "opentelemetry.proto.collector.trace.v1.TraceService.Export",
        ),
        _WORKING: (
            "Dispatcher.Register",
            "Dispatcher.Listen",
            "Dispatcher.ListenV2",
            "Dispatcher.Heartbeat",
            "Dispatcher.Unsubscribe",
            "Dispatcher.UpsertWorkerLabels",
            "Dispatcher.SendStepActionEvent",
            "Dispatcher.SendBatchActionEvent",
            "Dispatcher.SendGroupKeyActionEvent",
            "Dispatcher.PutOverridesData",
            "Dispatcher.RefreshTimeout",
            "Dispatcher.ReleaseSlot",
            "Dispatcher.RestoreEvictedTask",
            "EventsService.PutLog",
            "EventsService.PutStreamEvent",
            "WorkflowService.PutWorkflow",
            "WorkflowService.PutRateLimit",
            "WorkflowService.PauseRateLimit",
            "v1.AdminService.PutWorkflow",
            "v1.AdminService.CancelTasks",
            "v1.V1Dispatcher.DurableTask",
            "v1.V1Dispatcher.RegisterDurableEvent",
            "v1.V1Dispatcher.ListenForDurableEvent",
        ),
        ONLY_FULL: (
            "v1.AdminService.ReplayTasks",
            "v1.AdminService.BranchDurableTask",
        ),
    }
)
"""By the method's full name."""

OPERATIONS = _by_name(
    {
        _READING: (
            "tenant:get",
            "tenant-alerting-settings:get",
            "tenant-resource-policy:get",
            "tenant:feature-flag:evaluate",
            "tenant:entitlements:get",
            "alert-email-group:list",
            "slack-webhook:list",
            "sns:list",
            "run:list",
            "run:tree",
            "run:export",
            "bulk-action:list",
            "bulk-action:get",
            "outbox:list",
            "v1-tenant-log-line:get:point-metrics",
            "v1-workflow-run:list",
            "v1-workflow-run:get",
            "v1-workflow-run:get-status",
            "v1-workflow-run:task-events:list",
            "v1-workflow-run:get:timings",
            "v1-workflow-run:count:get",
            "v1-workflow-run:display-names:list",
            "v1-workflow-run:external-ids:list",
            "run:list",
            "run:tree",
            "run:export",
            "v1-dag:list:tasks",
            "v1-task:get",
            "v1-task:explain",
            "v1-task-event:list",
            "v1-log-line:list",
            "v1-durable-task:event-log:list",
            "v1-task:list:status-metrics",
            "v1-task:get:point-metrics",
            "tenant:get:step-run-queue-metrics",
            "tenant:get:task-stats",
            "tenant:get:prometheus-metrics",
            "workflow-timing:list",
            "v1-observability:get-trace",
            "v1-tenant-log-line:list",
            "v1-tenant-log-line:get:point-metrics",
            "bulk-action:list",
            "bulk-action:get",
            "retention:get",
            "error:list",
            "error:get",
            "v1-event:list",
            "v1:event-key:list",
            "v1-event:get",
            "event:get",
            "event-data:get",
            "event-data:get-with-tenant",
            "v1-filter:list",
            "v1-filter:get",
            "v1-cel:debug",
            "workflow:list",
            "workflow:get",
            "workflow-version:get",
            "cron-workflow:list",
            "workflow-cron:get",
            "workflow-scheduled:list",
            "workflow-scheduled:get",
            "rate-limit:list",
            "worker:list",
            "worker:get",
            "v1-webhook:list",
            "v1-webhook:get",
            "webhook-delivery:list",
            "webhook-delivery:get",
            "webhook-endpoint:list",
            "webhook-endpoint:get",
            "webhook-message:list",
            "webhook-message:get",
            "webhook-kind:list",
            "alert-rule:list",
            "alert-rule:get",
            "alert-channel:list",
            "alert-channel:get",
            "alert-channel:notifications:list",
            "alert:list",
            "alert:get",
            "alert:notifications:list",
        ),
        _STARTING: (
            "v1-workflow-run:create",
            "scheduled-workflow-run:create",
            "workflow-cron:trigger",
            "workflow-scheduled:trigger",
        ),
        _STARTING_OR_FOR_A_TASK: ("otlp:traces:export",),
        # A task cancels itself and its children over REST, by their ids; a worker that is to stop pauses itself.
        _WORKING: ("v1-task:cancel", "worker:update"),
        ONLY_FULL: (
            "tenant:update",
            "audit-log:list",
            "audit-log:export",
            "audit-log:export-csv",
            "tenant-member:list",
            "tenant-invite:list",
            "bulk-action:create",
            "bulk-action:start",
            "bulk-action:stop",
            "outbox:dismiss",
            "outbox:retry",
            "retention:update",
            "error:update-state",
            "error:update-assignee",
            "v1-task:replay",
            "v1-task:restore",
            "v1-durable-task:branch",
            "v1-filter:create",
            "v1-filter:update",
            "v1-filter:delete",
            "workflow:update",
            "workflow:delete",
            "cron-workflow-trigger:create",
            "workflow-cron:update",
            "workflow-cron:delete",
            "workflow-scheduled:bulk-delete",
            "workflow-scheduled:bulk-update",
            "workflow-scheduled:update",
            "workflow-scheduled:delete",
            "rate-limit:delete",
            "v1-webhook:create",
            "v1-webhook:update",
            "v1-webhook:delete",
            "webhook-delivery:redeliver",
            "webhook-endpoint:create",
            "webhook-endpoint:update",
            "webhook-endpoint:delete",
            "webhook-endpoint:redeliver-failed",
            "webhook-endpoint:rotate-secret",
            "webhook-endpoint:test",
            "webhook-message:redeliver",
            "alert-email-group:create",
            "alert-email-group:update",
            "alert-email-group:delete",
            "slack-webhook:delete",
            "sns:create",
            "sns:delete",
            "alert-rule:create",
            "alert-rule:update",
            "alert-rule:delete",
            "alert-rule:silence",
            "alert-channel:create",
            "alert-channel:update",
            "alert-channel:delete",
            "alert-channel:test",
            "alert:acknowledge",
            "alert:silence",
        ),
        _ONLY_PEOPLE: (
            "tenant:archive",
            "tenant:unarchive",
            "tenant:delete",
            "tenant:leave",
            "tenant-invite:create",
            "tenant-invite:update",
            "tenant-invite:renew",
            "tenant-invite:delete",
            "tenant-member:update",
            "tenant-member:delete",
        ),
    }
)
"""By the operation's id. What anybody may call, and views that refuse all tokens, have no place here."""


def scopes_of_rpc(method: str) -> Scopes:
    return RPCS.get(method, ONLY_FULL)


def scopes_of_operation(identity: str) -> Scopes:
    return OPERATIONS.get(identity, ONLY_FULL)


def refusal(scope: TokenScope, what: str) -> str:
    return f'an API token of the scope "{scope.value}" may not call {what}'
