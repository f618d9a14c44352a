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
from tenants.audit.declared import Acts, Changes
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
        post("workflow-cron:trigger", TriggerRunResult, Acts("cron.run")),
        Operation("PATCH", "workflow-cron:update", None, audits=Changes("cron.update")),
        Operation("DELETE", "workflow-cron:delete", None, audits=Changes("cron.delete")),
    ),
    route(
        f"{T}/workflows/<str:name>/crons",
        crons.WorkflowCronsView,
        post("cron-workflow-trigger:create", CronWorkflows, Changes("cron.create")),
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
        post(
            "workflow-scheduled:bulk-delete",
            ScheduledWorkflowsBulkDeleteResponse,
            Changes("schedule.delete", in_parts=True),
        ),
    ),
    route(
        f"{T}/workflows/scheduled/bulk-update",
        schedules.BulkUpdateView,
        post(
            "workflow-scheduled:bulk-update",
            ScheduledWorkflowsBulkUpdateResponse,
            Changes("schedule.update"),
        ),
    ),
    route(
        f"{T}/workflows/scheduled/<str:scheduled>",
        schedules.ScheduleView,
        get("workflow-scheduled:get", ScheduledWorkflows),
        post("workflow-scheduled:trigger", TriggerRunResult, Acts("schedule.run")),
        Operation(
            "PATCH",
            "workflow-scheduled:update",
            ScheduledWorkflows,
            audits=Changes("schedule.update"),
        ),
        Operation("DELETE", "workflow-scheduled:delete", None, audits=Changes("schedule.delete")),
    ),
    route(
        f"{T}/workflows/<str:name>/scheduled",
        schedules.WorkflowSchedulesView,
        post("scheduled-workflow-run:create", ScheduledWorkflows, Changes("schedule.create")),
    ),
]
