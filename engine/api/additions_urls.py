"""Paths that stand beside the public API's contract."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.urls import URLPattern

from engine.api import (
    bulk_actions,
    error_groups,
    outbox,
    retention,
    run_export,
    run_pages,
    run_tree,
    span_collector,
    workflow_timings,
)
from engine.api.answers.additions import (
    BulkAction,
    BulkActionList,
    Error,
    ErrorPage,
    OutboxEntry,
    OutboxList,
    Retention,
    RunPage,
    RunTree,
    WorkflowTimings,
)
from engine.api.answers.runs import V1TaskSummary
from engine.api.url_parts import ST, get, post
from tenants.audit.declared import DATA_PLANE, Acts, Changes
from tenants.rest.schema import Operation, route

_RUNS = f"{ST}/runs"
_BULK = f"{ST}/bulk-actions"
_OUTBOX = f"{ST}/outbox"
_ERRORS = f"{ST}/errors"

ADDITIONS: list[URLPattern] = [
    route(_RUNS, run_pages.RunPageView, get("run:list", RunPage)),
    route(
        f"{_RUNS}/export",
        run_export.RunExportView,
        Operation(
            "GET",
            "run:export",
            V1TaskSummary,
            media_type=run_export.MEDIA_TYPE,
            also_refuses=(HTTPStatus.TOO_MANY_REQUESTS,),
        ),
    ),
    route(f"{_RUNS}/<str:run>/tree", run_tree.RunTreeView, get("run:tree", RunTree)),
    route(
        f"{ST}/workflow-timings",
        workflow_timings.WorkflowTimingsView,
        get("workflow-timing:list", WorkflowTimings),
    ),
    route(
        _BULK,
        bulk_actions.BulkActionListView,
        get("bulk-action:list", BulkActionList),
        post("bulk-action:create", BulkAction, Changes("bulk_action.create")),
    ),
    route(
        f"{_BULK}/<str:action>",
        bulk_actions.BulkActionView,
        get("bulk-action:get", BulkAction),
    ),
    route(
        f"{_BULK}/<str:action>/start",
        bulk_actions.StartView,
        post("bulk-action:start", BulkAction, Changes("bulk_action.start")),
    ),
    route(
        f"{_BULK}/<str:action>/stop",
        bulk_actions.StopView,
        post("bulk-action:stop", BulkAction, Changes("bulk_action.stop")),
    ),
    route(_ERRORS, error_groups.ErrorListView, get("error:list", ErrorPage)),
    route(f"{_ERRORS}/<str:error>", error_groups.ErrorView, get("error:get", Error)),
    route(
        f"{_ERRORS}/<str:error>/state",
        error_groups.ErrorStateView,
        post("error:update-state", Error, Acts("error.state")),
    ),
    route(
        f"{_ERRORS}/<str:error>/assignee",
        error_groups.ErrorAssigneeView,
        post("error:update-assignee", Error, Acts("error.assign")),
    ),
    route(
        "v1/traces",
        span_collector.SpanCollectorView,
        Operation(
            "POST",
            "otlp:traces:export",
            Any,
            takes_any_body=True,
            media_type=span_collector.PROTOBUF,
            audits=DATA_PLANE,
        ),
    ),
    route(_OUTBOX, outbox.OutboxView, get("outbox:list", OutboxList)),
    route(
        f"{_OUTBOX}/<str:row>",
        outbox.OutboxRowView,
        Operation("DELETE", "outbox:dismiss", OutboxEntry, audits=Acts("outbox.dismiss")),
    ),
    route(
        f"{_OUTBOX}/<str:row>/retry",
        outbox.OutboxRetryView,
        post("outbox:retry", OutboxEntry, Acts("outbox.retry")),
    ),
    route(
        f"{ST}/retention",
        retention.RetentionView,
        get("retention:get", Retention),
        Operation("PATCH", "retention:update", Retention, audits=Changes("retention.update")),
    ),
]
