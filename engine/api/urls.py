"""Every path below /api; literal segments stand before those that take a name."""

from __future__ import annotations

from uuid import UUID

from django.urls import URLPattern, URLResolver, include, path, re_path

from engine.api import (
    cel,
    dags,
    durable_tasks,
    events,
    exposition,
    filters,
    logs,
    meta,
    metrics,
    not_offered,
    prometheus,
    rate_limits,
    resource_limits,
    run_actions,
    run_details,
    runs,
    task_stats,
    tasks,
    traces,
    workers,
    workflows,
)
from engine.api.additions_urls import ADDITIONS
from engine.api.answers.events import (
    Event,
    EventData,
    EventKeyList,
    V1CELDebugResponse,
    V1Event,
    V1EventList,
    V1Filter,
    V1FilterList,
)
from engine.api.answers.meta import APIMeta, APIMetaIntegration, InfoGetVersion
from engine.api.answers.rate_limits import RateLimitList
from engine.api.answers.runs import (
    V1CancelledTasks,
    V1DagChildren,
    V1ReplayedTasks,
    V1TaskEventList,
    V1TaskSummary,
    V1TaskSummaryList,
    V1TaskTimingList,
    V1WorkflowRunCount,
    V1WorkflowRunDetails,
    V1WorkflowRunDisplayNameList,
)
from engine.api.answers.tasks import (
    OtelSpanList,
    TaskStat,
    TenantStepRunQueueMetrics,
    V1BranchDurableTaskResponse,
    V1DurableEventLogEntry,
    V1LogLineList,
    V1LogsPointMetrics,
    V1RestoreTaskResponse,
    V1TaskExplanation,
    V1TaskPointMetrics,
    V1TaskRunMetric,
)
from engine.api.answers.workers import Worker, WorkerList
from engine.api.answers.workflows import Workflow, WorkflowList, WorkflowVersion
from engine.api.timetable_urls import CRONS, SCHEDULES
from engine.api.url_parts import (
    RUN,
    ST,
    TASK,
    T,
    get,
    post,
)
from engine.states import Status
from tenants.api.answers import TenantResourcePolicy
from tenants.audit.declared import DATA_PLANE, ONLY_READS, Acts, Changes
from tenants.rest.errors import APIErrors
from tenants.rest.schema import Operation, route
from tenants.rest.views import UnknownPathView

_META = [
    route("api/v1/meta", meta.MetaView, get("metadata:get", APIMeta, is_public=True)),
    route(
        "api/v1/meta/integrations",
        meta.IntegrationsView,
        get("metadata:list:integrations", list[APIMetaIntegration]),
    ),
    route(
        "api/v1/cloud/metadata",
        meta.CloudMetadataView,
        get("cloudMetadata::get", APIErrors, is_public=True),
    ),
    route(
        "api/v1/version",
        meta.VersionView,
        get("info:get:version", InfoGetVersion, is_public=True),
    ),
]
_TASKS = [
    route(TASK, tasks.TaskDetailView, get("v1-task:get", V1TaskSummary)),
    route(
        f"{TASK}/logs",
        logs.TaskLogsView,
        get("v1-log-line:list", V1LogLineList),
    ),
    route(
        f"{TASK}/explain",
        tasks.TaskExplanationView,
        get("v1-task:explain", V1TaskExplanation),
    ),
    route(
        f"{TASK}/task-events",
        tasks.TaskEventsView,
        get("v1-task-event:list", V1TaskEventList),
    ),
    route(
        f"{TASK}/restore",
        durable_tasks.RestoreView,
        post("v1-task:restore", V1RestoreTaskResponse, Acts("task.restore")),
    ),
    route(
        f"{ST}/durable-tasks/branch",
        durable_tasks.BranchView,
        post("v1-durable-task:branch", V1BranchDurableTaskResponse, Acts("task.reset")),
    ),
    route(
        f"{ST}/durable-tasks/<str:task>",
        durable_tasks.LogView,
        get("v1-durable-task:event-log:list", list[V1DurableEventLogEntry]),
    ),
    route(
        "api/v1/stable/dags/tasks",
        dags.DagTasksView,
        get("v1-dag:list:tasks", list[V1DagChildren]),
    ),
    route(
        f"{ST}/tasks/cancel",
        run_actions.CancelView,
        post("v1-task:cancel", V1CancelledTasks, Acts("run.cancel")),
    ),
    route(
        f"{ST}/tasks/replay",
        run_actions.ReplayView,
        post("v1-task:replay", V1ReplayedTasks, Acts("run.replay")),
    ),
]
_RUNS = [
    route(
        RUN,
        run_details.RunDetailView,
        get("v1-workflow-run:get", V1WorkflowRunDetails),
    ),
    route(
        f"{RUN}/status",
        run_details.RunStatusView,
        get("v1-workflow-run:get-status", Status),
    ),
    route(
        f"{RUN}/task-events",
        run_details.RunEventsView,
        get("v1-workflow-run:task-events:list", V1TaskEventList),
    ),
    route(
        f"{RUN}/task-timings",
        run_details.RunTimingsView,
        get("v1-workflow-run:get:timings", V1TaskTimingList),
    ),
    route(
        f"{ST}/workflow-runs",
        runs.RunListView,
        get("v1-workflow-run:list", V1TaskSummaryList),
    ),
    route(
        f"{ST}/workflow-runs/count",
        runs.RunCountView,
        get("v1-workflow-run:count:get", V1WorkflowRunCount),
    ),
    route(
        f"{ST}/workflow-runs/display-names",
        runs.RunNamesView,
        get("v1-workflow-run:display-names:list", V1WorkflowRunDisplayNameList),
    ),
    route(
        f"{ST}/workflow-runs/external-ids",
        runs.RunIdsView,
        get("v1-workflow-run:external-ids:list", list[UUID]),
    ),
    route(
        f"{ST}/workflow-runs/trigger",
        run_actions.TriggerView,
        post("v1-workflow-run:create", V1WorkflowRunDetails, DATA_PLANE),
    ),
]
_METRICS = [
    route(
        f"{ST}/task-metrics",
        metrics.TaskMetricsView,
        get("v1-task:list:status-metrics", list[V1TaskRunMetric]),
    ),
    route(
        f"{ST}/task-point-metrics",
        metrics.TaskPointMetricsView,
        get("v1-task:get:point-metrics", V1TaskPointMetrics),
    ),
    route(
        f"{T}/step-run-queue-metrics",
        metrics.QueueMetricsView,
        get("tenant:get:step-run-queue-metrics", TenantStepRunQueueMetrics),
    ),
    route(
        f"{T}/task-stats",
        task_stats.TaskStatsView,
        get("tenant:get:task-stats", dict[str, TaskStat]),
    ),
    route(
        f"{T}/prometheus-metrics",
        prometheus.PrometheusView,
        Operation("GET", "tenant:get:prometheus-metrics", str, media_type=exposition.MEDIA_TYPE),
    ),
    route(
        f"{ST}/traces",
        traces.TracesView,
        get("v1-observability:get-trace", OtelSpanList),
    ),
    route(
        f"{ST}/logs",
        logs.TenantLogsView,
        get("v1-tenant-log-line:list", V1LogLineList),
    ),
    route(
        f"{ST}/log-point-metrics",
        logs.TenantLogMetricsView,
        get("v1-tenant-log-line:get:point-metrics", V1LogsPointMetrics),
    ),
]
_EVENTS = [
    route(
        f"{ST}/events",
        events.EventListView,
        get("v1-event:list", V1EventList),
    ),
    route(
        f"{ST}/events/keys",
        events.EventKeysView,
        get("v1:event-key:list", EventKeyList),
    ),
    route(
        f"{ST}/events/<str:event>",
        events.EventInTenantView,
        get("v1-event:get", V1Event),
    ),
    route("api/v1/events/<str:event>", events.EventView, get("event:get", Event)),
    route(
        "api/v1/events/<str:event>/data",
        events.EventDataView,
        get("event-data:get", EventData),
    ),
    route(
        f"{T}/events/<str:event>/data",
        events.EventDataInTenantView,
        get("event-data:get-with-tenant", EventData),
    ),
]
_FILTERS = [
    route(
        f"{ST}/filters",
        filters.FilterListView,
        get("v1-filter:list", V1FilterList),
        post("v1-filter:create", V1Filter, Changes("filter.create")),
    ),
    route(
        f"{ST}/filters/<str:filter>",
        filters.FilterView,
        get("v1-filter:get", V1Filter),
        Operation("PATCH", "v1-filter:update", V1Filter, audits=Changes("filter.update")),
        Operation("DELETE", "v1-filter:delete", V1Filter, audits=Changes("filter.delete")),
    ),
]
_CEL = [
    route(
        f"{ST}/cel/debug",
        cel.DebugView,
        post("v1-cel:debug", V1CELDebugResponse, ONLY_READS),
    ),
]
_WORKFLOWS = [
    route(
        f"{T}/workflows",
        workflows.WorkflowListView,
        get("workflow:list", WorkflowList),
    ),
    route(
        "api/v1/workflows/<str:workflow>",
        workflows.WorkflowDetailView,
        get("workflow:get", Workflow),
        Operation("PATCH", "workflow:update", Workflow, audits=Changes("workflow.update")),
        Operation("DELETE", "workflow:delete", None, audits=Changes("workflow.delete")),
    ),
    route(
        "api/v1/workflows/<str:workflow>/versions",
        workflows.WorkflowVersionView,
        get("workflow-version:get", WorkflowVersion),
    ),
]
_RATE_LIMITS = [
    route(
        f"{T}/rate-limits",
        rate_limits.RateLimitsView,
        get("rate-limit:list", RateLimitList),
        Operation("DELETE", "rate-limit:delete", None, audits=Changes("rate_limit.delete")),
    ),
    route(
        f"{T}/resource-policy",
        resource_limits.ResourcePolicyView,
        get("tenant-resource-policy:get", TenantResourcePolicy),
    ),
]

_WORKERS = [
    route(
        f"{T}/worker",
        workers.WorkerListView,
        get("worker:list", WorkerList),
    ),
    route(
        "api/v1/workers/<str:worker>",
        workers.WorkerDetailView,
        get("worker:get", Worker),
        Operation("PATCH", "worker:update", Worker, audits=Changes("worker.update")),
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
    *ADDITIONS,
    *CRONS,
    *SCHEDULES,
    *_RATE_LIMITS,
    *_WORKERS,
    path("", include("tenants.api.urls")),
    path("", include(not_offered.urlpatterns)),
    re_path(r"^api(?:/.*)?$", UnknownPathView.as_view()),
]
