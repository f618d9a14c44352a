"""Limits over REST: what there is, and the answer to what is beyond."""

from __future__ import annotations

from typing import Any

from pytest_django import Settings

from engine.models import Cron, Event, Run, Schedule
from tenants.models import APIToken
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, now, push_event, start_run
from tests.cast import Cast
from tests.limits import enforce
from webhooks.models import Webhook


def policy(cast: Cast) -> list[dict[str, Any]]:
    answer = ApiClient(user=cast.viewer).get(f"/api/v1/tenants/{cast.tenant.id}/resource-policy")
    assert answer.status == 200
    limits: list[dict[str, Any]] = answer.json["limits"]
    return limits


def test_without_limits_there_are_none(cast: Cast) -> None:
    assert policy(cast) == []


def test_the_policy_says_what_is_used(cast: Cast, settings: Settings) -> None:
    make_workflow(cast.tenant)
    everything = {"event": 10, "task_run": 20, "worker": 3, "worker_slot": 30, "cron": 4}
    enforce(settings, **everything, schedule=5, incoming_webhook=6, api_token=7)
    start_run(cast.tenant)
    push_event(cast.tenant, "a")
    limits = {one["resource"]: one for one in policy(cast)}
    assert set(limits) == {
        *("EVENT", "TASK_RUN", "WORKER", "WORKER_SLOT", "CRON", "SCHEDULE", "INCOMING_WEBHOOK")
    }
    runs = limits["TASK_RUN"]
    assert (runs["limitValue"], runs["value"], runs["alarmValue"], runs["window"]) == (
        *(20, 1, 10, "24h"),
    )
    assert runs["lastRefill"]
    assert limits["EVENT"]["value"] == 1
    assert "window" not in limits["CRON"]
    assert "lastRefill" not in limits["CRON"]


def test_what_is_beyond_is_refused_with_429(cast: Cast, settings: Settings) -> None:
    made = make_workflow(cast.tenant)
    names = ("task_run", "event", "cron", "schedule", "incoming_webhook", "api_token")
    enforce(settings, **dict.fromkeys(names, 0))
    tenant, stable = (f"/api/v1{part}/tenants/{cast.tenant.id}" for part in ("", "/stable"))
    api = ApiClient(user=cast.owner)
    cron = {"cronName": "a", "cronExpression": "0 3 * * *", "input": {}, "additionalMetadata": {}}
    webhook = {
        "name": "a",
        "sourceName": "GENERIC",
        "eventKeyExpression": "'a'",
        "authType": "API_KEY",
        "auth": {"headerName": "X-Key", "apiKey": "a secret"},
    }
    asked = {
        f"{stable}/workflow-runs/trigger": {"workflowName": "greet", "input": {}},
        f"{tenant}/workflows/greet/crons": cron,
        f"{tenant}/workflows/greet/scheduled": {
            "triggerAt": now().isoformat(),
            "input": {},
            "additionalMetadata": {},
        },
        f"{stable}/webhooks": webhook,
        f"{tenant}/api-tokens": {"name": "a"},
    }
    assert made
    for path, body in asked.items():
        answer = api.post(path, body)
        assert (path, answer.status) == (path, 429)
        assert "limit of 0" in answer.json["errors"][0]["description"]
    assert not any(model.objects.exists() for model in (Run, Event, Cron, Schedule, Webhook))
    assert not APIToken.objects.filter(name="a").exists()
