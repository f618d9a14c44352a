"""Pages under `/t/<tenant>/…`; every live fragment has its own URL beside its page's."""

from __future__ import annotations

from django.urls import path

from dashboard.live import LiveSocket
from dashboard.views import (
    account,
    crons,
    events,
    filters,
    rate_limits,
    run,
    run_actions,
    runs,
    schedules,
    tokens,
    trigger,
    workers,
    workflow_pauses,
    workflows,
)

app_name = "dashboard"

urlpatterns = [
    path("", account.home, name="home"),
    path("login", account.sign_in, name="sign_in"),
    path("logout", account.sign_out, name="sign_out"),
    path("theme", account.set_theme, name="theme"),
    path("t/<slug:slug>/", runs.index, name="tenant"),
    path("t/<slug:slug>/live", account.only_a_socket, name="live"),
    path("t/<slug:slug>/runs", runs.index, name="runs"),
    path("t/<slug:slug>/runs/live", runs.live, name="runs_live"),
    path("t/<slug:slug>/runs/<uuid:run_id>", run.detail, name="run"),
    path("t/<slug:slug>/runs/<uuid:run_id>/live", run.live, name="run_live"),
    path("t/<slug:slug>/runs/<uuid:run_id>/cancel", run_actions.cancel, name="run_cancel"),
    path("t/<slug:slug>/runs/<uuid:run_id>/replay", run_actions.replay, name="run_replay"),
    path("t/<slug:slug>/runs/<uuid:run_id>/log.txt", run.download_log, name="run_log"),
    path(
        "t/<slug:slug>/runs/<uuid:run_id>/<slug:kind>/<uuid:owner_id>",
        run.download_payload,
        name="run_payload",
    ),
    path("t/<slug:slug>/trigger", trigger.form, name="trigger"),
    path("t/<slug:slug>/workflows", workflows.index, name="workflows"),
    path("t/<slug:slug>/workflows/live", workflows.live, name="workflows_live"),
    path("t/<slug:slug>/workflows/<uuid:workflow_id>", workflows.detail, name="workflow"),
    path(
        "t/<slug:slug>/workflows/<uuid:workflow_id>/live",
        workflows.detail_live,
        name="workflow_live",
    ),
    path(
        "t/<slug:slug>/workflows/<uuid:workflow_id>/delete",
        workflows.delete,
        name="workflow_delete",
    ),
    path(
        "t/<slug:slug>/workflows/<uuid:workflow_id>/pause",
        workflow_pauses.pause,
        name="workflow_pause",
    ),
    path(
        "t/<slug:slug>/workflows/<uuid:workflow_id>/resume",
        workflow_pauses.resume,
        name="workflow_resume",
    ),
    path("t/<slug:slug>/crons", crons.index, name="crons"),
    path("t/<slug:slug>/crons/live", crons.live, name="crons_live"),
    path("t/<slug:slug>/crons/new", crons.new, name="cron_new"),
    path("t/<slug:slug>/crons/preview", crons.preview, name="cron_preview"),
    path("t/<slug:slug>/crons/<uuid:cron_id>", crons.detail, name="cron"),
    path("t/<slug:slug>/crons/<uuid:cron_id>/switch", crons.switch, name="cron_switch"),
    path("t/<slug:slug>/crons/<uuid:cron_id>/run", crons.run_now, name="cron_run"),
    path("t/<slug:slug>/crons/<uuid:cron_id>/delete", crons.delete, name="cron_delete"),
    path("t/<slug:slug>/scheduled", schedules.index, name="schedules"),
    path("t/<slug:slug>/scheduled/live", schedules.live, name="schedules_live"),
    path("t/<slug:slug>/scheduled/new", schedules.new, name="schedule_new"),
    path("t/<slug:slug>/scheduled/move", schedules.move_many, name="schedules_move"),
    path("t/<slug:slug>/scheduled/delete", schedules.delete, name="schedules_delete"),
    path("t/<slug:slug>/scheduled/<uuid:schedule_id>", schedules.detail, name="schedule"),
    path("t/<slug:slug>/scheduled/<uuid:schedule_id>/move", schedules.move, name="schedule_move"),
    path("t/<slug:slug>/scheduled/<uuid:schedule_id>/run", schedules.run_now, name="schedule_run"),
    path("t/<slug:slug>/events", events.index, name="events"),
    path("t/<slug:slug>/events/live", events.live, name="events_live"),
    path("t/<slug:slug>/events/push", events.push, name="event_push"),
    path("t/<slug:slug>/events/<uuid:event_id>", events.detail, name="event"),
    path("t/<slug:slug>/events/<uuid:event_id>/live", events.detail_live, name="event_live"),
    path("t/<slug:slug>/events/<uuid:event_id>/replay", events.replay, name="event_replay"),
    path(
        "t/<slug:slug>/events/<uuid:event_id>/payload.json",
        events.download_payload,
        name="event_payload",
    ),
    path("t/<slug:slug>/filters", filters.index, name="filters"),
    path("t/<slug:slug>/filters/new", filters.new, name="filter_new"),
    path("t/<slug:slug>/filters/<uuid:filter_id>", filters.detail, name="filter"),
    path("t/<slug:slug>/filters/<uuid:filter_id>/change", filters.change, name="filter_change"),
    path("t/<slug:slug>/filters/<uuid:filter_id>/delete", filters.delete, name="filter_delete"),
    path("t/<slug:slug>/rate-limits", rate_limits.index, name="rate_limits"),
    path("t/<slug:slug>/rate-limits/live", rate_limits.live, name="rate_limits_live"),
    path("t/<slug:slug>/rate-limits/delete", rate_limits.delete, name="rate_limit_delete"),
    path("t/<slug:slug>/workers", workers.index, name="workers"),
    path("t/<slug:slug>/workers/live", workers.live, name="workers_live"),
    path("t/<slug:slug>/workers/<uuid:worker_id>", workers.detail, name="worker"),
    path("t/<slug:slug>/workers/<uuid:worker_id>/live", workers.detail_live, name="worker_live"),
    path("t/<slug:slug>/workers/<uuid:worker_id>/pause", workers.pause, name="worker_pause"),
    path("t/<slug:slug>/tokens", tokens.index, name="tokens"),
    path("t/<slug:slug>/tokens/<uuid:token_id>/revoke", tokens.revoke, name="token_revoke"),
]

websocket_urlpatterns = [path("t/<slug:slug>/live", LiveSocket.as_asgi())]
