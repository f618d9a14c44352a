"""Every operation that is described can succeed, and what it then answers is as described.

The client itself compares each answer, here and in all other tests of the API.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from engine.domain.definition import Concurrency, Idempotency
from engine.domain.durable.calls import WaitCall
from engine.states import ConcurrencyStrategy
from tenants.models import Tenant, User
from tests.api.alert_walk import walk_alerts, walk_slack
from tests.api.client import ApiClient
from tests.api.described import check, document
from tests.api.factories import (
    failed_error,
    make_outbox_row,
    make_workflow,
    now,
    schedule_greet,
    step,
)
from tests.api.test_durable_tasks import call, event, evict, sleep, start_durable
from tests.api.test_rate_limits import make as make_rate_limit
from tests.cast import PASSWORD, Cast, make_user
from tests.tenants.people import secret_in
from webhooks.models import Dispatch, DispatchState

SAY_NOTHING = {"tenant-invite:accept", "tenant-invite:reject", "sns:update"}
"""The contract has them answer 200 with nothing."""
SOON = (now() + timedelta(days=2)).isoformat()
SINCE = (now() - timedelta(days=3)).isoformat()


class Walk:
    """Calls operations and remembers which have succeeded."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self.seen: set[str] = set()

    def get(self, path: str, **query: Any) -> Any:
        return self._note(self.client.get(path, query or None))

    def lines(self, path: str, **query: Any) -> None:
        answer = self.client.get(path, query)
        assert answer.operation and answer.lines
        self.seen.add(answer.operation)

    def text(self, path: str) -> None:
        answer = self.client.get(path)
        assert answer.operation
        assert answer.content
        self.seen.add(answer.operation)

    def post(self, path: str, body: Any = None) -> Any:
        return self._note(self.client.post(path, {} if body is None else body))

    def patch(self, path: str, body: Any) -> Any:
        return self._note(self.client.patch(path, body))

    def delete(self, path: str, body: Any = None) -> Any:
        return self._note(self.client.delete(path, body))

    def _note(self, answer: Any) -> Any:
        assert answer.operation, (answer.status, answer.content)
        self.seen.add(answer.operation)
        return answer.json if answer.content else None


def walk_runs(walk: Walk, stable: str, world: dict[str, str]) -> None:
    runs = f"{stable}/workflow-runs"
    for only_tasks in ("true", "false"):
        walk.get(runs, since=SINCE, only_tasks=only_tasks)
    walk.get(f"{runs}/count", since=SINCE)
    walk.get(f"{runs}/external-ids", since=SINCE)
    walk.get(f"{runs}/display-names", external_ids=world["done"])
    walk.post(f"{runs}/trigger", {"workflowName": "dag", "input": {"a": 1}})
    for only_tasks in ("true", "false"):
        walk.get(f"{stable}/runs", since=SINCE, only_tasks=only_tasks, limit=2)
    walk.get(f"{stable}/runs/{world['done']}/tree")
    walk.lines(f"{stable}/runs/export", since=SINCE)
    walk.get(f"{stable}/workflow-timings", since=SINCE)
    walk.text(f"{stable.replace('/stable', '')}/prometheus-metrics")
    for name in ("done", "failed", "retried", "graph"):
        one = f"/api/v1/stable/workflow-runs/{world[name]}"
        for end in ("", "/status", "/task-events"):
            walk.get(one + end)
        walk.get(f"{one}/task-timings", depth=2)
    for name in ("done", "failed", "retried", "graph_task"):
        one = f"/api/v1/stable/tasks/{world[name]}"
        for end in ("", "/logs", "/explain", "/task-events"):
            walk.get(one + end)
    walk.post(f"{stable}/tasks/cancel", {"externalIds": [world["graph"]]})
    walk.post(f"{stable}/tasks/replay", {"externalIds": [world["failed"]]})
    for path in ("task-metrics", "task-point-metrics", "logs", "log-point-metrics"):
        walk.get(f"{stable}/{path}", since=SINCE)
    walk.get(f"{stable}/traces", run_external_id=world["done"])


def walk_bulk_actions(walk: Walk, stable: str) -> None:
    path, wish = f"{stable}/bulk-actions", {"action": "cancel", "filter": {"since": SINCE}}
    one = f"{path}/{walk.post(path, wish)['metadata']['id']}"
    assert walk.get(path)["rows"]
    walk.post(f"{one}/start")
    walk.post(f"{one}/stop")
    assert walk.get(one)["sample"]


def walk_outbox(walk: Walk, stable: str, tenant: Tenant) -> None:
    first, second = (make_outbox_row(tenant) for _ in range(2))
    assert walk.get(f"{stable}/outbox")["rows"]
    walk.post(f"{stable}/outbox/{first.id}/retry")
    walk.delete(f"{stable}/outbox/{second.id}")


def walk_retention(walk: Walk, stable: str) -> None:
    assert walk.get(f"{stable}/retention")["rows"]
    walk.patch(f"{stable}/retention", {"kind": "logs", "period": "7d"})


def walk_errors(walk: Walk, stable: str, cast: Cast) -> None:
    one = f"{stable}/errors/{failed_error(cast.tenant)}"
    assert walk.get(f"{stable}/errors")["rows"]
    until = (now() + timedelta(hours=1)).isoformat()
    walk.post(f"{one}/state", {"state": "MUTED", "mutedUntil": until})
    walk.post(f"{one}/assignee", {"userId": str(cast.owner.id)})
    assert walk.get(one)["versions"]


def walk_durable_tasks(walk: Walk, stable: str, cast: Cast) -> None:
    _, task = start_durable(cast)
    call(task, WaitCall((sleep("90s"), event("go")), "for a while"))
    assert walk.get(f"{stable}/durable-tasks/{task.id}")
    evict(task)
    walk.post(f"/api/v1/stable/tasks/{task.id}/restore")
    reset = {"taskExternalId": str(task.id), "nodeId": 1}
    walk.post(f"{stable}/durable-tasks/branch", reset)


def walk_events(walk: Walk, stable: str, tenant: str, world: dict[str, str]) -> None:
    walk.get(f"{stable}/events")
    walk.get(f"{stable}/events/keys")
    walk.get(f"{stable}/events/{world['event']}")
    for path in (f"/api/v1/events/{world['event']}", f"{tenant}/events/{world['event']}"):
        walk.get(f"{path}/data")
    walk.get(f"/api/v1/events/{world['event']}")
    new = {"workflowId": world["workflow"], "expression": "true", "scope": "a"}
    made = walk.post(f"{stable}/filters", new)["metadata"]["id"]
    assert walk.get(f"{stable}/filters")["rows"]
    walk.get(f"{stable}/filters/{made}")
    walk.patch(f"{stable}/filters/{made}", {"scope": "b"})
    walk.delete(f"{stable}/filters/{made}")
    for expression in ("true", "input.missing"):
        walk.post(f"{stable}/cel/debug", {"expression": expression, "input": {}})


def walk_webhooks(walk: Walk, stable: str) -> None:
    auth = {"headerName": "X-Key", "apiKey": "a secret"}
    new = {"name": "a", "sourceName": "GENERIC", "eventKeyExpression": "'a'", "staticPayload": {}}
    walk.post(f"{stable}/webhooks", new | {"authType": "API_KEY", "auth": auth})
    one = f"{stable}/webhooks/a"
    assert walk.get(f"{stable}/webhooks")["rows"]
    walk.get(one)
    sent = ApiClient().post(one, {"n": 1}, **{"X-Key": "a secret"})
    walk.seen |= {str(sent.operation)}
    walk.patch(one, {"scopeExpression": "'s'"})
    (delivery,) = walk.get(f"{stable}/webhook-deliveries")["rows"]
    again = f"{stable}/webhook-deliveries/{delivery['metadata']['id']}"
    walk.get(again)
    walk.post(f"{again}/redeliver")
    walk.delete(one)


def walk_endpoints(walk: Walk, stable: str, world: dict[str, str]) -> None:
    assert walk.get(f"{stable}/webhook-kinds")["rows"]
    new = {"url": "https://example.com/a", "kinds": ["run.failed"], "description": "a"}
    made = walk.post(f"{stable}/webhook-endpoints", new | {"workflowIds": [world["workflow"]]})
    assert walk.get(f"{stable}/webhook-endpoints")["rows"]
    one = f"{stable}/webhook-endpoints/{made['metadata']['id']}"
    walk.get(one)
    walk.post(f"{one}/rotate-secret", {"overlapSeconds": 60})
    sent = walk.post(f"{one}/test")
    message = f"{one}/messages/{sent['messageId']}"
    walk.get(message)
    walk.post(f"{message}/redeliver")
    walk.post(f"{one}/redeliver-failed", {})
    entry = {"at": SINCE, "milliseconds": 1, "status": 500, "error": "no", "answer": ""}
    Dispatch.objects.update(log=[entry], state=DispatchState.FAILED, finished_at=now())
    assert walk.get(f"{one}/messages")["rows"][0]["log"]
    walk.patch(one, {"isPaused": True})
    walk.delete(one)


def walk_workflows(walk: Walk, tenant: str, world: dict[str, str]) -> None:
    assert walk.get(f"{tenant}/workflows")["rows"]
    one = f"/api/v1/workflows/{world['workflow']}"
    walk.get(one)
    for workflow in (world["workflow"], world["rich"]):
        walk.get(f"/api/v1/workflows/{workflow}/versions")
    paused = {
        "action": "pause",
        "pausedWorkflowCronRunQueueBehavior": "DROP",
        "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
        "pausedWorkflowQueueTTL": "1h",
    }
    walk.patch(one, {"pause": paused})
    walk.patch(one, {"pause": {"action": "unpause"}})
    walk.delete(one)


def walk_timetable(walk: Walk, tenant: str, cast: Cast) -> None:
    crons, schedules = f"{tenant}/workflows/crons", f"{tenant}/workflows/scheduled"
    new = {"input": {"a": 1}, "cronName": "nightly", "cronExpression": "0 3 * * *"}
    made = walk.post(f"{tenant}/workflows/greet/crons", new)["metadata"]["id"]
    assert walk.get(crons)["rows"]
    walk.get(f"{crons}/{made}")
    walk.post(f"{crons}/{made}")
    walk.patch(f"{crons}/{made}", {"enabled": False, "missed": "skip"})
    walk.delete(f"{crons}/{made}")
    soon = {"input": {}, "triggerAt": SOON}
    made = walk.post(f"{tenant}/workflows/greet/scheduled", soon)["metadata"]["id"]
    walk.get(f"{schedules}/{made}")
    walk.patch(f"{schedules}/{made}", {"triggerAt": SOON})
    moved = {"updates": [{"id": made, "triggerAt": SOON}, {"id": str(cast.tenant.id), **soon}]}
    assert walk.post(f"{schedules}/bulk-update", moved)["errors"]
    walk.post(f"{schedules}/{made}")
    assert walk.get(schedules)["rows"]
    walk.delete(f"{schedules}/{schedule_greet(cast.tenant)}")
    ids = {"scheduledWorkflowRunIds": [str(schedule_greet(cast.tenant)), made]}
    assert walk.post(f"{schedules}/bulk-delete", ids)["deletedIds"]


def walk_tenant(walk: Walk, stable: str, tenant: str, world: dict[str, str]) -> None:
    assert walk.get(f"{tenant}/worker")["rows"]
    walk.get(f"/api/v1/workers/{world['worker']}")
    walk.patch(f"/api/v1/workers/{world['worker']}", {"isPaused": True})
    assert walk.get(f"{tenant}/rate-limits")["rows"]
    walk.delete(f"{tenant}/rate-limits?key=api")
    walk.patch(tenant, {"name": "Acme two"})
    walk.get(f"{tenant}/feature-flags", featureFlagId="x", isEnabledIfNoPosthog="true")
    for path in (
        *("", "/alerting-email-groups", "/alerting/settings", "/entitlements", "/resource-policy"),
        *("/slack", "/sns", "/step-run-queue-metrics", "/task-stats"),
    ):
        walk.get(tenant + path)
    for path in ("meta", "cloud/metadata", "version"):
        walk.get(f"/api/v1/{path}")


def walk_people(walk: Walk, tenant: str, world: dict[str, str], owner: User) -> None:
    for path in ("current", "invites", "memberships"):
        walk.get(f"/api/v1/users/{path}")
    walk.get("/api/v1/meta/integrations")
    walk.get("/api/v1/stable/dags/tasks", tenant=tenant[-36:], dag_ids=world["graph"])
    walk_invites(walk, tenant)
    walk_members(walk, tenant)
    walk.post(f"{tenant}/api-tokens", {"name": "mine", "expiresIn": "72h"})
    (token,) = [row for row in walk.get(f"{tenant}/api-tokens")["rows"] if row["name"] == "mine"]
    walk.post(f"/api/v1/api-tokens/{token['metadata']['id']}/rotate", {"overlap": "1h"})
    walk.post(f"/api/v1/api-tokens/{token['metadata']['id']}")
    walk.post("/api/v1/users/password", {"password": PASSWORD, "newPassword": "Better-horse-8"})
    walk_audit(walk, f"{tenant}/audit")
    walk.post("/api/v1/users/logout")
    walk.post("/api/v1/users/login", {"email": owner.email, "password": "Better-horse-8"})


def walk_invites(walk: Walk, tenant: str) -> None:
    new = {"email": "new@acme.test", "role": "VIEWER"}
    one = f"{tenant}/invites/{walk.post(f'{tenant}/invites', new)['metadata']['id']}"
    assert walk.get(f"{tenant}/invites")["rows"]
    walk.patch(one, {"role": "MEMBER", "canViewPayloads": False})
    walk.post(f"{one}/renew")
    link = secret_in(str(mail.outbox[-1].body))
    body = {"name": "New", "email": "new@acme.test", "password": PASSWORD, "invite": link}
    newcomer = Walk(ApiClient())
    newcomer.post("/api/v1/users/register", body)
    for answer, email in (("accept", "a@acme.test"), ("reject", "b@acme.test")):
        walk.post(f"{tenant}/invites", new | {"email": email})
        invited = Walk(ApiClient(user=make_user(email)))
        (row,) = invited.get("/api/v1/users/invites")["rows"]
        invited.post(f"/api/v1/users/invites/{answer}", {"invite": row["metadata"]["id"]})
        walk.seen |= invited.seen
    made = walk.post(f"{tenant}/invites", new | {"email": "c@acme.test"})["metadata"]["id"]
    walk.delete(f"{tenant}/invites/{made}")
    newcomer.post(f"{tenant}/leave")
    walk.seen |= newcomer.seen


def walk_members(walk: Walk, tenant: str) -> None:
    rows = walk.get(f"{tenant}/members")["rows"]
    (other,) = [row["metadata"]["id"] for row in rows if row["user"]["email"] == "a@acme.test"]
    walk.patch(f"{tenant}/members/{other}", {"role": "ADMIN"})
    walk.delete(f"{tenant}/members/{other}")


def walk_own_tenant(walk: Walk) -> None:
    made = walk.post("/api/v1/tenants", {"name": "Mine", "slug": "mine"})["metadata"]["id"]
    tenant = f"/api/v1/tenants/{made}"
    walk.post(f"{tenant}/archive")
    walk.get(tenant)
    walk.post(f"{tenant}/unarchive")
    walk.delete(tenant, {"confirm": "mine"})


def walk_audit(walk: Walk, path: str) -> None:
    assert {"before", "after"} <= {name for row in walk.get(path)["rows"] for name in row}
    walk.lines(f"{path}/export")
    table = walk.client.get(f"{path}/export.csv")
    assert table.operation and table.content
    walk.seen.add(table.operation)


def test_every_operation_answers_as_described(
    cast: Cast, api: ApiClient, world: dict[str, str]
) -> None:
    stable = f"/api/v1/stable/tenants/{cast.tenant.id}"
    tenant = f"/api/v1/tenants/{cast.tenant.id}"
    rich = make_workflow(
        cast.tenant,
        "rich",
        step("one", is_durable=True),
        concurrency=(Concurrency("input.k", 1, ConcurrencyStrategy.CANCEL_NEWEST),),
        idempotency=Idempotency("input.order", 60_000),
        cron_triggers=("0 4 * * *",),
    )
    world["rich"] = str(rich.workflow_id)
    make_rate_limit(cast, "api", paused_until=now() + timedelta(hours=1))
    walk = Walk(api)
    walk_runs(walk, stable, world)
    walk_bulk_actions(walk, stable)
    walk_outbox(walk, stable, cast.tenant)
    walk_retention(walk, stable)
    walk_errors(walk, stable, cast)
    walk_durable_tasks(walk, stable, cast)
    walk_events(walk, stable, tenant, world)
    walk_webhooks(walk, stable)
    walk_endpoints(walk, stable, world)
    walk_alerts(walk, stable, tenant, cast)
    walk_slack(walk, tenant, cast)
    walk_tenant(walk, stable, tenant, world)
    walk_timetable(walk, tenant, cast)
    person = Walk(ApiClient(user=cast.owner))
    walk_people(person, tenant, world, cast.owner)
    walk_own_tenant(person)
    walk_workflows(walk, tenant, world)
    described = {
        operation["operationId"]
        for operations in document()["paths"].values()
        for operation in operations.values()
        if "302" not in operation["responses"]  # they lead a browser elsewhere, and answer nothing
    }
    assert walk.seen | person.seen == described


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'{"count": 1, "more": 2}', "more"),
        (b"{}", "count"),
        (b'{"count": "1"}', "count"),
        (b'{"count": null}', "count"),
    ],
)
def test_an_answer_that_is_otherwise_is_noticed(cast: Cast, content: bytes, named: str) -> None:
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/count"
    check("GET", path, 200, b'{"count": 1}')
    with pytest.raises(AssertionError, match=named):
        check("GET", path, 200, content)
    with pytest.raises(AssertionError, match="418"):
        check("GET", path, 418, b"{}")


def test_nothing_is_described_as_just_some_object() -> None:
    """Only documents of clients and workers are, and they say so."""
    for name, schema in document()["components"]["schemas"].items():
        assert schema["properties"] or name == "OtelSpanList"
        for key, inner in schema["properties"].items():
            is_bare = inner.get("type") == "object" and "additionalProperties" not in inner
            assert not is_bare, (name, key)
    for operations in document()["paths"].values():
        for operation in operations.values():
            success = min(operation["responses"])
            body = operation["responses"][success].get("content")
            is_told = operation["operationId"] in SAY_NOTHING
            assert body is not None or success in {"204", "302"} or is_told
            assert {"400", "401", "403", "404", "500"} <= operation["responses"].keys()
