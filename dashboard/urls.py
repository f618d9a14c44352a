"""Pages under `/t/<tenant>/…`; every live fragment has its own URL beside its page's."""

from __future__ import annotations

from django.urls import path

from dashboard.live import LiveSocket
from dashboard.views import account, run, run_actions, runs, tokens, trigger, workers, workflows

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
    path("t/<slug:slug>/workers", workers.index, name="workers"),
    path("t/<slug:slug>/workers/live", workers.live, name="workers_live"),
    path("t/<slug:slug>/workers/<uuid:worker_id>", workers.detail, name="worker"),
    path("t/<slug:slug>/workers/<uuid:worker_id>/live", workers.detail_live, name="worker_live"),
    path("t/<slug:slug>/workers/<uuid:worker_id>/pause", workers.pause, name="worker_pause"),
    path("t/<slug:slug>/tokens", tokens.index, name="tokens"),
    path("t/<slug:slug>/tokens/<uuid:token_id>/revoke", tokens.revoke, name="token_revoke"),
]

websocket_urlpatterns = [path("t/<slug:slug>/live", LiveSocket.as_asgi())]
