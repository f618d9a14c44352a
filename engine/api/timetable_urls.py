"""The paths of crons and scheduled runs."""

from __future__ import annotations

from engine.api import crons, schedules
from engine.api.answers.workflows import (
    CronWorkflows,
    CronWorkflowsList,
    ScheduledWorkflows,
    ScheduledWorkflowsBulkDeleteResponse,
    ScheduledWorkflowsBulkUpdateResponse,
    ScheduledWorkflowsList,
    TriggerRunResult,
)
from engine.api.url_parts import T, get, post
from tenants.rest.schema import Operation, route

CRONS = [
    route(
        f"{T}/workflows/crons",
        crons.CronListView,
        get("cron-workflow:list", CronWorkflowsList),
    ),
    route(
        f"{T}/workflows/crons/<str:cron>",
        crons.CronView,
        get("workflow-cron:get", CronWorkflows),
        post("workflow-cron:trigger", TriggerRunResult),
        Operation("PATCH", "workflow-cron:update", None),
        Operation("DELETE", "workflow-cron:delete", None),
    ),
    route(
        f"{T}/workflows/<str:name>/crons",
        crons.WorkflowCronsView,
        post("cron-workflow-trigger:create", CronWorkflows),
    ),
]
SCHEDULES = [
    route(
        f"{T}/workflows/scheduled",
        schedules.ScheduleListView,
        get("workflow-scheduled:list", ScheduledWorkflowsList),
    ),
    route(
        f"{T}/workflows/scheduled/bulk-delete",
        schedules.BulkDeleteView,
        post("workflow-scheduled:bulk-delete", ScheduledWorkflowsBulkDeleteResponse),
    ),
    route(
        f"{T}/workflows/scheduled/bulk-update",
        schedules.BulkUpdateView,
        post("workflow-scheduled:bulk-update", ScheduledWorkflowsBulkUpdateResponse),
    ),
    route(
        f"{T}/workflows/scheduled/<str:scheduled>",
        schedules.ScheduleView,
        get("workflow-scheduled:get", ScheduledWorkflows),
        post("workflow-scheduled:trigger", TriggerRunResult),
        Operation("PATCH", "workflow-scheduled:update", ScheduledWorkflows),
        Operation("DELETE", "workflow-scheduled:delete", None),
    ),
    route(
        f"{T}/workflows/<str:name>/scheduled",
        schedules.WorkflowSchedulesView,
        post("scheduled-workflow-run:create", ScheduledWorkflows),
    ),
]
