"""Every path below /api; literal segments stand before those that take a name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from engine.api import (
    cel,
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
    tasks,
    traces,
    workers,
    workflows,
)
from engine.api.timetable_urls import CRONS, SCHEDULES
from engine.api.url_parts import (
    LOG_FILTERS,
    PAGE,
    RUN,
    RUN_FILTERS,
    ST,
    TARGETS,
    TASK,
    T,
    get,
    post,
)
from tenants.rest.schema import Operation, route
from tenants.rest.views import UnknownPathView

_META = [
    route("api/v1/meta", meta.MetaView, get("metadata:get", "APIMeta", is_public=True)),
    route(
        "api/v1/meta/integrations",
        meta.IntegrationsView,
        get("metadata:list:integrations", "[APIMetaIntegration]"),
    ),
    route(
        "api/v1/cloud/metadata",
        meta.CloudMetadataView,
        get("cloudMetadata::get", "APIErrors", is_public=True),
    ),
    route(
        "api/v1/version",
        meta.VersionView,
        get("info:get:version", "InfoGetVersion200Response", is_public=True),
    ),
]
_TASKS = [
    route(TASK, tasks.TaskDetailView, get("v1-task:get", "V1TaskSummary", "attempt:integer")),
    route(
        f"{TASK}/logs",
        logs.TaskLogsView,
        get("v1-log-line:list", "V1LogLineList", LOG_FILTERS),
    ),
    route(
        f"{TASK}/explain",
        tasks.TaskExplanationView,
        get("v1-task:explain", "V1TaskExplanation"),
    ),
    route(
        f"{TASK}/task-events",
        tasks.TaskEventsView,
        get("v1-task-event:list", "V1TaskEventList", PAGE),
    ),
    route(
        f"{TASK}/restore",
        durable_tasks.RestoreView,
        post("v1-task:restore", "V1RestoreTaskResponse"),
    ),
    route(
        f"{ST}/durable-tasks/branch",
        durable_tasks.BranchView,
        post(
            "v1-durable-task:branch",
            "V1BranchDurableTaskResponse",
            "taskExternalId:uuid! nodeId:integer! branchId:integer",
        ),
    ),
    route(
        f"{ST}/durable-tasks/<str:task>",
        durable_tasks.LogView,
        get("v1-durable-task:event-log:list", "[V1DurableEventLogEntry]", PAGE),
    ),
    route(
        "api/v1/stable/dags/tasks",
        dags.DagTasksView,
        get("v1-dag:list:tasks", "[V1DagChildren]", "dag_ids:uuid[]! tenant:uuid!"),
    ),
    route(
        f"{ST}/tasks/cancel",
        run_actions.CancelView,
        post("v1-task:cancel", "V1CancelledTasks", TARGETS),
    ),
    route(
        f"{ST}/tasks/replay",
        run_actions.ReplayView,
        post("v1-task:replay", "V1ReplayedTasks", TARGETS),
    ),
]
_RUNS = [
    route(RUN, run_details.RunDetailView, get("v1-workflow-run:get", "V1WorkflowRunDetails")),
    route(
        f"{RUN}/status",
        run_details.RunStatusView,
        get("v1-workflow-run:get-status", "string"),
    ),
    route(
        f"{RUN}/task-events",
        run_details.RunEventsView,
        get("v1-workflow-run:task-events:list", "V1TaskEventList", PAGE),
    ),
    route(
        f"{RUN}/task-timings",
        run_details.RunTimingsView,
        get("v1-workflow-run:get:timings", "V1TaskTimingList", "depth:integer"),
    ),
    route(
        f"{ST}/workflow-runs",
        runs.RunListView,
        get(
            "v1-workflow-run:list",
            "V1TaskSummaryList",
            f"{RUN_FILTERS} only_tasks:boolean! worker_id:uuid include_payloads:boolean "
            f"include_num_pages:boolean {PAGE}",
        ),
    ),
    route(
        f"{ST}/workflow-runs/count",
        runs.RunCountView,
        get(
            "v1-workflow-run:count:get",
            "V1WorkflowRunCount",
            f"{RUN_FILTERS} only_tasks:boolean worker_id:uuid",
        ),
    ),
    route(
        f"{ST}/workflow-runs/display-names",
        runs.RunNamesView,
        get(
            "v1-workflow-run:display-names:list",
            "V1WorkflowRunDisplayNameList",
            "external_ids:uuid[]!",
        ),
    ),
    route(
        f"{ST}/workflow-runs/external-ids",
        runs.RunIdsView,
        get("v1-workflow-run:external-ids:list", "[uuid]", RUN_FILTERS),
    ),
    route(
        f"{ST}/workflow-runs/trigger",
        run_actions.TriggerView,
        post(
            "v1-workflow-run:create",
            "V1WorkflowRunDetails",
            "workflowName! input:object! additionalMetadata:object priority:integer",
        ),
    ),
]
_METRICS = [
    route(
        f"{ST}/task-metrics",
        metrics.TaskMetricsView,
        get(
            "v1-task:list:status-metrics",
            "[V1TaskRunMetric]",
            "since:date-time! until:date-time workflow_ids:uuid[] parent_task_external_id:uuid "
            "triggering_event_external_id:uuid additional_metadata:string[]",
        ),
    ),
    route(
        f"{ST}/task-point-metrics",
        metrics.TaskPointMetricsView,
        get(
            "v1-task:get:point-metrics",
            "V1TaskPointMetrics",
            "createdAfter:date-time finishedBefore:date-time",
        ),
    ),
    route(
        f"{T}/step-run-queue-metrics",
        metrics.QueueMetricsView,
        get("tenant:get:step-run-queue-metrics", "TenantStepRunQueueMetrics"),
    ),
    route(
        f"{T}/task-stats",
        metrics.TaskStatsView,
        get("tenant:get:task-stats", "object", "taskNames:string[]"),
    ),
    route(
        f"{ST}/traces",
        traces.TracesView,
        get("v1-observability:get-trace", "OtelSpanList", f"run_external_id:uuid! {PAGE}"),
    ),
    route(
        f"{ST}/logs",
        logs.TenantLogsView,
        get(
            "v1-tenant-log-line:list",
            "V1LogLineList",
            f"{LOG_FILTERS} taskExternalIds:uuid[] workflow_ids:uuid[] step_ids:uuid[]",
        ),
    ),
]
_EVENTS = [
    route(
        f"{ST}/events",
        events.EventListView,
        get(
            "v1-event:list",
            "V1EventList",
            f"{PAGE} keys:string[] since:date-time until:date-time workflowIds:uuid[] "
            "workflowRunStatuses:string[] eventIds:uuid[] additionalMetadata:string[] "
            "scopes:string[]",
        ),
    ),
    route(f"{ST}/events/keys", events.EventKeysView, get("v1:event-key:list", "EventKeyList")),
    route(f"{ST}/events/<str:event>", events.EventInTenantView, get("v1-event:get", "V1Event")),
    route("api/v1/events/<str:event>", events.EventView, get("event:get", "Event")),
    route(
        "api/v1/events/<str:event>/data",
        events.EventDataView,
        get("event-data:get", "EventData"),
    ),
    route(
        f"{T}/events/<str:event>/data",
        events.EventDataInTenantView,
        get("event-data:get-with-tenant", "EventData"),
    ),
]
_FILTERS = [
    route(
        f"{ST}/filters",
        filters.FilterListView,
        get("v1-filter:list", "V1FilterList", f"{PAGE} workflowIds:uuid[] scopes:string[]"),
        post("v1-filter:create", "V1Filter", "workflowId:uuid! expression! scope! payload:object"),
    ),
    route(
        f"{ST}/filters/<str:filter>",
        filters.FilterView,
        get("v1-filter:get", "V1Filter"),
        Operation("PATCH", "v1-filter:update", "V1Filter", body="expression scope payload:object"),
        Operation("DELETE", "v1-filter:delete", "V1Filter"),
    ),
]
_CEL = [
    route(
        f"{ST}/cel/debug",
        cel.DebugView,
        post(
            "v1-cel:debug",
            "V1CELDebugResponse",
            "expression! input:object! additionalMetadata:object filterPayload:object",
        ),
    ),
]
_WORKFLOWS = [
    route(
        f"{T}/workflows",
        workflows.WorkflowListView,
        get("workflow:list", "WorkflowList", f"name {PAGE}"),
    ),
    route(
        "api/v1/workflows/<str:workflow>",
        workflows.WorkflowDetailView,
        get("workflow:get", "Workflow"),
        Operation("PATCH", "workflow:update", "Workflow", body="pause!:object"),
        Operation("DELETE", "workflow:delete", None),
    ),
    route(
        "api/v1/workflows/<str:workflow>/versions",
        workflows.WorkflowVersionView,
        get("workflow-version:get", "WorkflowVersion", "version:uuid"),
    ),
]
_RATE_LIMITS = [
    route(
        f"{T}/rate-limits",
        rate_limits.RateLimitsView,
        get("rate-limit:list", "RateLimitList", f"{PAGE} search orderByField orderByDirection"),
        Operation("DELETE", "rate-limit:delete", None, "key!"),
    ),
]

_WORKERS = [
    route(
        f"{T}/worker",
        workers.WorkerListView,
        get("worker:list", "WorkerList", f"{PAGE} statuses:string[] labels:string[]"),
    ),
    route(
        "api/v1/workers/<str:worker>",
        workers.WorkerDetailView,
        get("worker:get", "Worker"),
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
    *CRONS,
    *SCHEDULES,
    *_RATE_LIMITS,
    *_WORKERS,
    path("", include("tenants.api.urls")),
    path("", include(not_offered.urlpatterns)),
    re_path(r"^api(?:/.*)?$", UnknownPathView.as_view()),
]
