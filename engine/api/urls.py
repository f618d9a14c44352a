"""Every path below /api; literal segments stand before those that take a name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from engine.api import (
    events,
    logs,
    meta,
    metrics,
    not_offered,
    run_actions,
    run_details,
    runs,
    tasks,
    traces,
    workers,
    workflows,
)
from tenants.api.views import UnknownPathView

_T = "api/v1/tenants/<str:tenant>"
_ST = "api/v1/stable/tenants/<str:tenant>"
_TASK = "api/v1/stable/tasks/<str:task>"
_RUN = "api/v1/stable/workflow-runs/<str:run>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/meta", meta.MetaView.as_view()),
    path("api/v1/meta/integrations", meta.IntegrationsView.as_view()),
    path("api/v1/cloud/metadata", meta.CloudMetadataView.as_view()),
    path("api/v1/version", meta.VersionView.as_view()),
    path(_TASK, tasks.TaskDetailView.as_view()),
    path(f"{_TASK}/logs", logs.TaskLogsView.as_view()),
    path(f"{_TASK}/task-events", tasks.TaskEventsView.as_view()),
    path(_RUN, run_details.RunDetailView.as_view()),
    path(f"{_RUN}/status", run_details.RunStatusView.as_view()),
    path(f"{_RUN}/task-events", run_details.RunEventsView.as_view()),
    path(f"{_RUN}/task-timings", run_details.RunTimingsView.as_view()),
    path(f"{_ST}/tasks/cancel", run_actions.CancelView.as_view()),
    path(f"{_ST}/tasks/replay", run_actions.ReplayView.as_view()),
    path(f"{_ST}/workflow-runs", runs.RunListView.as_view()),
    path(f"{_ST}/workflow-runs/count", runs.RunCountView.as_view()),
    path(f"{_ST}/workflow-runs/display-names", runs.RunNamesView.as_view()),
    path(f"{_ST}/workflow-runs/external-ids", runs.RunIdsView.as_view()),
    path(f"{_ST}/workflow-runs/trigger", run_actions.TriggerView.as_view()),
    path(f"{_ST}/task-metrics", metrics.TaskMetricsView.as_view()),
    path(f"{_ST}/task-point-metrics", metrics.TaskPointMetricsView.as_view()),
    path(f"{_ST}/traces", traces.TracesView.as_view()),
    path(f"{_ST}/logs", logs.TenantLogsView.as_view()),
    path(f"{_ST}/events", events.EventListView.as_view()),
    path(f"{_ST}/events/keys", events.EventKeysView.as_view()),
    path(f"{_ST}/events/<str:event>", events.EventInTenantView.as_view()),
    path("api/v1/events/<str:event>", events.EventView.as_view()),
    path("api/v1/events/<str:event>/data", events.EventDataView.as_view()),
    path(f"{_T}/events/<str:event>/data", events.EventDataInTenantView.as_view()),
    path(f"{_T}/workflows", workflows.WorkflowListView.as_view()),
    path("api/v1/workflows/<str:workflow>", workflows.WorkflowDetailView.as_view()),
    path("api/v1/workflows/<str:workflow>/versions", workflows.WorkflowVersionView.as_view()),
    path(f"{_T}/worker", workers.WorkerListView.as_view()),
    path("api/v1/workers/<str:worker>", workers.WorkerDetailView.as_view()),
    path(f"{_T}/step-run-queue-metrics", metrics.QueueMetricsView.as_view()),
    path(f"{_T}/task-stats", metrics.TaskStatsView.as_view()),
    path("", include("tenants.api.urls")),
    path("", include(not_offered.urlpatterns)),
    re_path(r"^api(?:/.*)?$", UnknownPathView.as_view()),
]
