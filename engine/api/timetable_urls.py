"""The paths of crons and scheduled runs."""

from __future__ import annotations

from engine.api import crons, schedules
from engine.api.url_parts import PAGE, T, get, post
from tenants.rest.schema import Operation, route

CRONS = [
    route(
        f"{T}/workflows/crons",
        crons.CronListView,
        get(
            "cron-workflow:list",
            "CronWorkflowsList",
            f"{PAGE} workflowId:uuid workflowName cronName additionalMetadata:string[] "
            "orderByField orderByDirection",
        ),
    ),
    route(
        f"{T}/workflows/crons/<str:cron>",
        crons.CronView,
        get("workflow-cron:get", "CronWorkflows"),
        post("workflow-cron:trigger", "TriggerRunResult"),
        Operation("PATCH", "workflow-cron:update", None, body="enabled:boolean missed"),
        Operation("DELETE", "workflow-cron:delete", None),
    ),
    route(
        f"{T}/workflows/<str:name>/crons",
        crons.WorkflowCronsView,
        post(
            "cron-workflow-trigger:create",
            "CronWorkflows",
            "input:object! additionalMetadata:object cronName! cronExpression! priority:integer "
            "missed",
        ),
    ),
]
SCHEDULES = [
    route(
        f"{T}/workflows/scheduled",
        schedules.ScheduleListView,
        get(
            "workflow-scheduled:list",
            "ScheduledWorkflowsList",
            f"{PAGE} workflowId:uuid parentWorkflowRunId:uuid parentStepRunId:uuid "
            "additionalMetadata:string[] statuses:string[] orderByField orderByDirection",
        ),
    ),
    route(
        f"{T}/workflows/scheduled/bulk-delete",
        schedules.BulkDeleteView,
        post(
            "workflow-scheduled:bulk-delete",
            "ScheduledWorkflowsBulkDeleteResponse",
            "scheduledWorkflowRunIds:uuid[] filter:object",
        ),
    ),
    route(
        f"{T}/workflows/scheduled/bulk-update",
        schedules.BulkUpdateView,
        post(
            "workflow-scheduled:bulk-update",
            "ScheduledWorkflowsBulkUpdateResponse",
            "updates:object[]!",
        ),
    ),
    route(
        f"{T}/workflows/scheduled/<str:scheduled>",
        schedules.ScheduleView,
        get("workflow-scheduled:get", "ScheduledWorkflows"),
        post("workflow-scheduled:trigger", "TriggerRunResult"),
        Operation(
            "PATCH", "workflow-scheduled:update", "ScheduledWorkflows", body="triggerAt:date-time!"
        ),
        Operation("DELETE", "workflow-scheduled:delete", None),
    ),
    route(
        f"{T}/workflows/<str:name>/scheduled",
        schedules.WorkflowSchedulesView,
        post(
            "scheduled-workflow-run:create",
            "ScheduledWorkflows",
            "input:object! additionalMetadata:object triggerAt:date-time! priority:integer",
        ),
    ),
]
