"""Every path below /api; literal segments stand before those that take a name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from engine.api import (
    cel,
    crons,
    dags,
    durable_tasks,
    events,
    filters,
    logs,
    meta,
    metrics,
    not_offered,
    rate_limits,
    run_actions,
    run_details,
    runs,
    schedules,
    tasks,
    traces,
    workers,
    workflows,
)
from tenants.api.described import Operation, route
from tenants.api.views import UnknownPathView

_T = "api/v1/tenants/<str:tenant>"
_ST = "api/v1/stable/tenants/<str:tenant>"
_TASK = "api/v1/stable/tasks/<str:task>"
_RUN = "api/v1/stable/workflow-runs/<str:run>"

_PAGE = "offset:integer limit:integer"
_RUN_FILTERS = (
    "since:date-time! until:date-time statuses:string[] running_filter workflow_ids:uuid[] "
    "additional_metadata:string[] additional_metadata_operator parent_task_external_id:uuid "
    "triggering_event_external_id:uuid idempotency_keys:string[]"
)
_LOG_FILTERS = (
    "limit:integer since:date-time until:date-time search levels:string[] order_by_direction "
    "attempt:integer"
)
_TARGETS = "externalIds:uuid[] filter:object"


def _get(identity: str, answer: str, query: str = "", *, is_public: bool = False) -> Operation:
    return Operation("GET", identity, answer, query, is_public=is_public)


def _post(identity: str, answer: str, body: str = "") -> Operation:
    return Operation("POST", identity, answer, body=body)


_META = [
    route("api/v1/meta", meta.MetaView, _get("metadata:get", "APIMeta", is_public=True)),
    route(
        "api/v1/meta/integrations",
        meta.IntegrationsView,
        _get("metadata:list:integrations", "[APIMetaIntegration]"),
    ),
    route(
        "api/v1/cloud/metadata",
        meta.CloudMetadataView,
        _get("cloudMetadata::get", "APIErrors", is_public=True),
    ),
    route(
        "api/v1/version",
        meta.VersionView,
        _get("info:get:version", "InfoGetVersion200Response", is_public=True),
    ),
]
_TASKS = [
    route(_TASK, tasks.TaskDetailView, _get("v1-task:get", "V1TaskSummary", "attempt:integer")),
    route(
        f"{_TASK}/logs",
        logs.TaskLogsView,
        _get("v1-log-line:list", "V1LogLineList", _LOG_FILTERS),
    ),
    route(
        f"{_TASK}/explain",
        tasks.TaskExplanationView,
        _get("v1-task:explain", "V1TaskExplanation"),
    ),
    route(
        f"{_TASK}/task-events",
        tasks.TaskEventsView,
        _get("v1-task-event:list", "V1TaskEventList", _PAGE),
    ),
    route(
        f"{_TASK}/restore",
        durable_tasks.RestoreView,
        _post("v1-task:restore", "V1RestoreTaskResponse"),
    ),
    route(
        f"{_ST}/durable-tasks/branch",
        durable_tasks.BranchView,
        _post(
            "v1-durable-task:branch",
            "V1BranchDurableTaskResponse",
            "taskExternalId:uuid! nodeId:integer! branchId:integer!",
        ),
    ),
    route(
        f"{_ST}/durable-tasks/<str:task>",
        durable_tasks.LogView,
        _get("v1-durable-task:event-log:list", "[V1DurableEventLogEntry]", _PAGE),
    ),
    route(
        "api/v1/stable/dags/tasks",
        dags.DagTasksView,
        _get("v1-dag:list:tasks", "[V1DagChildren]", "dag_ids:uuid[]! tenant:uuid!"),
    ),
    route(
        f"{_ST}/tasks/cancel",
        run_actions.CancelView,
        _post("v1-task:cancel", "V1CancelledTasks", _TARGETS),
    ),
    route(
        f"{_ST}/tasks/replay",
        run_actions.ReplayView,
        _post("v1-task:replay", "V1ReplayedTasks", _TARGETS),
    ),
]
_RUNS = [
    route(_RUN, run_details.RunDetailView, _get("v1-workflow-run:get", "V1WorkflowRunDetails")),
    route(
        f"{_RUN}/status",
        run_details.RunStatusView,
        _get("v1-workflow-run:get-status", "string"),
    ),
    route(
        f"{_RUN}/task-events",
        run_details.RunEventsView,
        _get("v1-workflow-run:task-events:list", "V1TaskEventList", _PAGE),
    ),
    route(
        f"{_RUN}/task-timings",
        run_details.RunTimingsView,
        _get("v1-workflow-run:get:timings", "V1TaskTimingList", "depth:integer"),
    ),
    route(
        f"{_ST}/workflow-runs",
        runs.RunListView,
        _get(
            "v1-workflow-run:list",
            "V1TaskSummaryList",
            f"{_RUN_FILTERS} only_tasks:boolean! worker_id:uuid include_payloads:boolean "
            f"include_num_pages:boolean {_PAGE}",
        ),
    ),
    route(
        f"{_ST}/workflow-runs/count",
        runs.RunCountView,
        _get(
            "v1-workflow-run:count:get",
            "V1WorkflowRunCount",
            f"{_RUN_FILTERS} only_tasks:boolean worker_id:uuid",
        ),
    ),
    route(
        f"{_ST}/workflow-runs/display-names",
        runs.RunNamesView,
        _get(
            "v1-workflow-run:display-names:list",
            "V1WorkflowRunDisplayNameList",
            "external_ids:uuid[]!",
        ),
    ),
    route(
        f"{_ST}/workflow-runs/external-ids",
        runs.RunIdsView,
        _get("v1-workflow-run:external-ids:list", "[uuid]", _RUN_FILTERS),
    ),
    route(
        f"{_ST}/workflow-runs/trigger",
        run_actions.TriggerView,
        _post(
            "v1-workflow-run:create",
            "V1WorkflowRunDetails",
            "workflowName! input:object! additionalMetadata:object priority:integer",
        ),
    ),
]
_METRICS = [
    route(
        f"{_ST}/task-metrics",
        metrics.TaskMetricsView,
        _get(
            "v1-task:list:status-metrics",
            "[V1TaskRunMetric]",
            "since:date-time! until:date-time workflow_ids:uuid[] parent_task_external_id:uuid "
            "triggering_event_external_id:uuid additional_metadata:string[]",
        ),
    ),
    route(
        f"{_ST}/task-point-metrics",
        metrics.TaskPointMetricsView,
        _get(
            "v1-task:get:point-metrics",
            "V1TaskPointMetrics",
            "createdAfter:date-time finishedBefore:date-time",
        ),
    ),
    route(
        f"{_T}/step-run-queue-metrics",
        metrics.QueueMetricsView,
        _get("tenant:get:step-run-queue-metrics", "TenantStepRunQueueMetrics"),
    ),
    route(
        f"{_T}/task-stats",
        metrics.TaskStatsView,
        _get("tenant:get:task-stats", "object", "taskNames:string[]"),
    ),
    route(
        f"{_ST}/traces",
        traces.TracesView,
        _get("v1-observability:get-trace", "OtelSpanList", f"run_external_id:uuid! {_PAGE}"),
    ),
    route(
        f"{_ST}/logs",
        logs.TenantLogsView,
        _get(
            "v1-tenant-log-line:list",
            "V1LogLineList",
            f"{_LOG_FILTERS} taskExternalIds:uuid[] workflow_ids:uuid[] step_ids:uuid[]",
        ),
    ),
]
_EVENTS = [
    route(
        f"{_ST}/events",
        events.EventListView,
        _get(
            "v1-event:list",
            "V1EventList",
            f"{_PAGE} keys:string[] since:date-time until:date-time workflowIds:uuid[] "
            "workflowRunStatuses:string[] eventIds:uuid[] additionalMetadata:string[] "
            "scopes:string[]",
        ),
    ),
    route(f"{_ST}/events/keys", events.EventKeysView, _get("v1:event-key:list", "EventKeyList")),
    route(f"{_ST}/events/<str:event>", events.EventInTenantView, _get("v1-event:get", "V1Event")),
    route("api/v1/events/<str:event>", events.EventView, _get("event:get", "Event")),
    route(
        "api/v1/events/<str:event>/data",
        events.EventDataView,
        _get("event-data:get", "EventData"),
    ),
    route(
        f"{_T}/events/<str:event>/data",
        events.EventDataInTenantView,
        _get("event-data:get-with-tenant", "EventData"),
    ),
]
_FILTERS = [
    route(
        f"{_ST}/filters",
        filters.FilterListView,
        _get("v1-filter:list", "V1FilterList", f"{_PAGE} workflowIds:uuid[] scopes:string[]"),
        _post("v1-filter:create", "V1Filter", "workflowId:uuid! expression! scope! payload:object"),
    ),
    route(
        f"{_ST}/filters/<str:filter>",
        filters.FilterView,
        _get("v1-filter:get", "V1Filter"),
        Operation("PATCH", "v1-filter:update", "V1Filter", body="expression scope payload:object"),
        Operation("DELETE", "v1-filter:delete", "V1Filter"),
    ),
]
_CEL = [
    route(
        f"{_ST}/cel/debug",
        cel.DebugView,
        _post(
            "v1-cel:debug",
            "V1CELDebugResponse",
            "expression! input:object! additionalMetadata:object filterPayload:object",
        ),
    ),
]
_WORKFLOWS = [
    route(
        f"{_T}/workflows",
        workflows.WorkflowListView,
        _get("workflow:list", "WorkflowList", f"name {_PAGE}"),
    ),
    route(
        "api/v1/workflows/<str:workflow>",
        workflows.WorkflowDetailView,
        _get("workflow:get", "Workflow"),
        Operation("PATCH", "workflow:update", "Workflow", body="pause!:object"),
        Operation("DELETE", "workflow:delete", None),
    ),
    route(
        "api/v1/workflows/<str:workflow>/versions",
        workflows.WorkflowVersionView,
        _get("workflow-version:get", "WorkflowVersion", "version:uuid"),
    ),
]
_CRONS = [
    route(
        f"{_T}/workflows/crons",
        crons.CronListView,
        _get(
            "cron-workflow:list",
            "CronWorkflowsList",
            f"{_PAGE} workflowId:uuid workflowName cronName additionalMetadata:string[] "
            "orderByField orderByDirection",
        ),
    ),
    route(
        f"{_T}/workflows/crons/<str:cron>",
        crons.CronView,
        _get("workflow-cron:get", "CronWorkflows"),
        _post("workflow-cron:trigger", "TriggerRunResult"),
        Operation("PATCH", "workflow-cron:update", None, body="enabled:boolean"),
        Operation("DELETE", "workflow-cron:delete", None),
    ),
    route(
        f"{_T}/workflows/<str:name>/crons",
        crons.WorkflowCronsView,
        _post(
            "cron-workflow-trigger:create",
            "CronWorkflows",
            "input:object! additionalMetadata:object cronName! cronExpression! priority:integer",
        ),
    ),
]
_SCHEDULES = [
    route(
        f"{_T}/workflows/scheduled",
        schedules.ScheduleListView,
        _get(
            "workflow-scheduled:list",
            "ScheduledWorkflowsList",
            f"{_PAGE} workflowId:uuid parentWorkflowRunId:uuid parentStepRunId:uuid "
            "additionalMetadata:string[] statuses:string[] orderByField orderByDirection",
        ),
    ),
    route(
        f"{_T}/workflows/scheduled/bulk-delete",
        schedules.BulkDeleteView,
        _post(
            "workflow-scheduled:bulk-delete",
            "ScheduledWorkflowsBulkDeleteResponse",
            "scheduledWorkflowRunIds:uuid[] filter:object",
        ),
    ),
    route(
        f"{_T}/workflows/scheduled/bulk-update",
        schedules.BulkUpdateView,
        _post(
            "workflow-scheduled:bulk-update",
            "ScheduledWorkflowsBulkUpdateResponse",
            "updates:object[]!",
        ),
    ),
    route(
        f"{_T}/workflows/scheduled/<str:scheduled>",
        schedules.ScheduleView,
        _get("workflow-scheduled:get", "ScheduledWorkflows"),
        _post("workflow-scheduled:trigger", "TriggerRunResult"),
        Operation(
            "PATCH", "workflow-scheduled:update", "ScheduledWorkflows", body="triggerAt:date-time!"
        ),
        Operation("DELETE", "workflow-scheduled:delete", None),
    ),
    route(
        f"{_T}/workflows/<str:name>/scheduled",
        schedules.WorkflowSchedulesView,
        _post(
            "scheduled-workflow-run:create",
            "ScheduledWorkflows",
            "input:object! additionalMetadata:object triggerAt:date-time! priority:integer",
        ),
    ),
]
_RATE_LIMITS = [
    route(
        f"{_T}/rate-limits",
        rate_limits.RateLimitsView,
        _get("rate-limit:list", "RateLimitList", f"{_PAGE} search orderByField orderByDirection"),
        Operation("DELETE", "rate-limit:delete", None, "key!"),
    ),
]
_WORKERS = [
    route(
        f"{_T}/worker",
        workers.WorkerListView,
        _get("worker:list", "WorkerList", f"{_PAGE} statuses:string[] labels:string[]"),
    ),
    route(
        "api/v1/workers/<str:worker>",
        workers.WorkerDetailView,
        _get("worker:get", "Worker"),
        Operation("PATCH", "worker:update", "Worker", body="isPaused:boolean"),
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *_META,
    *_TASKS,
    *_RUNS,
    *_METRICS,
    *_EVENTS,
    *_FILTERS,
    *_CEL,
    *_WORKFLOWS,
    *_CRONS,
    *_SCHEDULES,
    *_RATE_LIMITS,
    *_WORKERS,
    path("", include("tenants.api.urls")),
    path("", include(not_offered.urlpatterns)),
    re_path(r"^api(?:/.*)?$", UnknownPathView.as_view()),
]
