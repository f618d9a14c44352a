"""The audit log over REST: what is told of each change, who may read it, how it is narrowed and exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.domain.definition import DefaultFilter
from engine.models import Cron, Filter, Task, Worker, Workflow
from tenants.audit.models import AuditEntry
from tenants.models import APIToken, Role
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import (
    make_worker,
    make_workflow,
    schedule_greet,
    start_run,
    tasks_of,
)
from tests.api.test_rate_limits import make as make_rate_limit
from tests.api.test_workflow_pauses import PAUSE
from tests.cast import PASSWORD, Cast


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("id"))


def make_entries(cast: Cast, *actions: str, **columns: Any) -> list[AuditEntry]:
    return [
        AuditEntry.objects.create(
            **{
                "tenant_id": cast.tenant.id,
                "actor_kind": "person",
                "actor_id": "1",
                "actor_name": "ann@acme.test",
                "action": action,
                "resource_kind": action.partition(".")[0],
                **columns,
            }
        )
        for action in actions
    ]


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/audit"


@pytest.fixture
def tenant(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}"


class TestWhatIsTold:
    def test_of_a_person(self, cast: Cast, tenant: str) -> None:
        client = ApiClient(user=cast.owner)
        told = len(entries())
        client.http.patch(
            tenant,
            json.dumps({"name": "New"}),
            content_type="application/json",
            headers={"User-Agent": "Browser/1"},
            REMOTE_ADDR="192.0.2.9",
        )
        [entry] = entries()[told:]
        assert (entry.action, entry.tenant_id) == ("tenant.update", cast.tenant.id)
        assert (entry.actor_kind, entry.actor_id) == ("person", str(cast.owner.id))
        assert entry.actor_name == "owner@acme.test"
        assert (entry.before, entry.after) == ({"name": "Acme"}, {"name": "New"})
        assert (entry.address, entry.user_agent) == ("192.0.2.9", "Browser/1")

    def test_of_a_token(self, cast: Cast, api: ApiClient, tenant: str) -> None:
        assert api.patch(tenant, {"name": "New"}).status == 200
        [entry] = entries()
        token = APIToken.objects.get(name="tests")
        assert (entry.actor_kind, entry.actor_id) == ("token", str(token.id))
        assert entry.actor_name == "tests"

    def test_of_signing_in_and_out(self, cast: Cast) -> None:
        client = ApiClient()
        client.post("/api/v1/users/login", {"email": "owner@acme.test", "password": PASSWORD})
        client.post("/api/v1/users/logout")
        assert [(one.action, one.resource_name, one.tenant_id) for one in entries()] == [
            ("user.sign_in", "owner@acme.test", None),
            ("user.sign_out", "owner@acme.test", None),
        ]

    def test_nothing_of_what_is_refused(self, cast: Cast, api: ApiClient, tenant: str) -> None:
        assert api.patch(tenant, {"name": ""}).status == 400
        assert api.patch(tenant, {"name": 7}).status == 400
        assert ApiClient(user=cast.viewer).patch(tenant, {"name": "New"}).status == 401
        stranger = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
        assert stranger.patch(tenant, {"name": "New"}).status == 403
        assert [one for one in entries() if one.action != "user.sign_in"] == []

    def test_nothing_of_runs_and_events(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant)
        body = {"workflowName": "greet", "input": {}}
        stable = f"/api/v1/stable/tenants/{cast.tenant.id}"
        assert api.post(f"{stable}/workflow-runs/trigger", body).status == 200
        assert entries() == []

    def test_runs_that_are_cancelled_and_replayed(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant)
        one, two = start_run(cast.tenant), start_run(cast.tenant)
        stable = f"/api/v1/stable/tenants/{cast.tenant.id}/tasks"
        api.post(f"{stable}/cancel", {"externalIds": [str(one.id)]})
        api.post(f"{stable}/replay", {"externalIds": [str(one.id)]})
        api.post(f"{stable}/cancel", {"externalIds": [str(one.id), str(two.id)]})
        api.post(f"{stable}/cancel", {"externalIds": [str(one.id)]})
        single, replayed, both = entries()
        assert (single.action, single.resource_id) == ("run.cancel", str(one.id))
        assert single.after == {"count": 1, "ids": [str(one.id)]}
        assert replayed.action == "run.replay"
        assert both.resource_id == ""
        assert both.after is not None
        assert both.after["count"] == 2

    def test_of_a_new_password_without_it(self, cast: Cast) -> None:
        client = ApiClient(user=cast.owner)
        path, new = "/api/v1/users/password", "Another-horse-8"
        assert client.post(path, {"password": "wrong", "newPassword": new}).status == 400
        assert client.post(path, {"password": PASSWORD, "newPassword": new}).status == 200
        [entry] = [one for one in entries() if one.action == "user.change_password"]
        assert entry.actor_name == entry.resource_name == "owner@acme.test"
        assert entry.after == {"password": "(withheld, changed)"}

    def test_of_an_invite_and_of_who_comes_with_it(self, cast: Cast, tenant: str) -> None:
        new = {"email": cast.stranger.email, "role": "VIEWER"}
        made = ApiClient(user=cast.owner).post(f"{tenant}/invites", new)
        assert made.status == 201
        body = {"invite": made.json["metadata"]["id"]}
        invited = ApiClient(user=cast.stranger)
        assert invited.post("/api/v1/users/invites/accept", body).status == 200
        told = [one for one in entries() if one.action != "user.sign_in"]
        assert {one.tenant_id for one in told} == {cast.tenant.id}
        assert [(one.action, one.actor_name) for one in told] == [
            ("invite.create", "owner@acme.test"),
            ("invite.update", "owner@acme.test"),
            ("invite.accept", "stranger@elsewhere.test"),
            ("member.create", "stranger@elsewhere.test"),
        ]
        assert "digest" not in str([one.after for one in told])

    def test_a_webhooks_secret_is_never_in_it(self, cast: Cast, api: ApiClient) -> None:
        stable = f"/api/v1/stable/tenants/{cast.tenant.id}/webhooks"
        body = {
            "name": "orders",
            "sourceName": "GENERIC",
            "eventKeyExpression": "'order'",
            "authType": "API_KEY",
            "auth": {"headerName": "X-Key", "apiKey": "very-secret-key"},
            "staticPayload": {"password": "very-secret-payload"},
        }
        assert api.post(stable, body).status == 200
        assert api.patch(f"{stable}/orders", {"staticPayload": {"a": "very-secret"}}).status == 200
        assert api.delete(f"{stable}/orders").status == 200
        created, updated, deleted = entries()
        assert [one.action for one in entries()] == [
            "webhook.create",
            "webhook.update",
            "webhook.delete",
        ]
        assert created.after is not None
        assert created.after["auth_type"] == "API_KEY"
        assert updated.after == {"static_payload": "(withheld, changed)"}
        assert deleted.resource_name == "orders"
        assert "very-secret" not in str([(one.before, one.after) for one in entries()])


CHANGES: dict[str, Callable[[Cast, ApiClient, str], Any]] = {
    "cron.create": lambda cast, api, base: api.post(
        f"{base}/workflows/greet/crons",
        {"cronName": "c", "cronExpression": "0 1 * * *", "input": {}},
    ),
    "cron.update": lambda cast, api, base: api.patch(
        f"{base}/workflows/crons/{Cron.objects.get().id}", {"enabled": False}
    ),
    "cron.delete": lambda cast, api, base: api.delete(
        f"{base}/workflows/crons/{Cron.objects.get().id}"
    ),
    "cron.run": lambda cast, api, base: api.post(
        f"{base}/workflows/crons/{Cron.objects.get().id}", {}
    ),
    "schedule.create": lambda cast, api, base: api.post(
        f"{base}/workflows/greet/scheduled", {"triggerAt": "2099-01-01T00:00:00Z", "input": {}}
    ),
    "schedule.update": lambda cast, api, base: api.patch(
        f"{base}/workflows/scheduled/{schedule_greet(cast.tenant)}",
        {"triggerAt": "2099-01-01T00:00:00Z"},
    ),
    "schedule.delete": lambda cast, api, base: api.post(
        f"{base}/workflows/scheduled/bulk-delete",
        {"scheduledWorkflowRunIds": [str(schedule_greet(cast.tenant))]},
    ),
    "schedule.run": lambda cast, api, base: api.post(
        f"{base}/workflows/scheduled/{schedule_greet(cast.tenant)}", {}
    ),
    "filter.delete": lambda cast, api, base: api.delete(
        f"{base.replace('v1/', 'v1/stable/')}/filters/{Filter.objects.get().id}"
    ),
    "filter.update": lambda cast, api, base: api.patch(
        f"{base.replace('v1/', 'v1/stable/')}/filters/{Filter.objects.get().id}", {"scope": "b"}
    ),
    "worker.update": lambda cast, api, base: api.patch(
        f"/api/v1/workers/{Worker.objects.get().id}", {"isPaused": True}
    ),
    "workflow.update": lambda cast, api, base: api.patch(
        f"/api/v1/workflows/{Workflow.objects.get().id}", {"pause": PAUSE}
    ),
    "workflow.delete": lambda cast, api, base: api.delete(
        f"/api/v1/workflows/{Workflow.objects.get().id}"
    ),
    "rate_limit.delete": lambda cast, api, base: api.delete(f"{base}/rate-limits?key=k"),
    "task.restore": lambda cast, api, base: api.post(
        f"/api/v1/stable/tasks/{Task.objects.get().id}/restore", {}
    ),
}


@pytest.mark.parametrize("action", CHANGES)
def test_a_change_is_told_once_and_costs_one_statement(
    action: str, cast: Cast, api: ApiClient, tenant: str
) -> None:
    make_workflow(
        cast.tenant, cron_triggers=("0 3 * * *",), default_filters=(DefaultFilter("true", "a"),)
    )
    tasks_of(start_run(cast.tenant))
    make_worker(cast.tenant)
    make_rate_limit(cast, "k")
    with CaptureQueriesContext(connection) as captured:
        answer = CHANGES[action](cast, api, tenant)
    assert answer.status < 300, answer.content
    told = [one for one in entries() if one.action == action]
    assert len(told) == 1
    assert told[0].tenant_id == cast.tenant.id
    assert told[0].resource_id
    # The last one belongs to tests alone, which are in a transaction of their own.
    spent = [query["sql"] for query in captured if "audit" in query["sql"]]
    assert len([sql for sql in spent if "set_config('hatchet.audit', ''" not in sql]) == 1


class TestReading:
    def test_the_newest_come_first_in_pages(self, cast: Cast, api: ApiClient, path: str) -> None:
        made = make_entries(cast, *["cron.create"] * 5)
        seen: list[str] = []
        cursor: dict[str, Any] = {}
        for _ in range(3):
            answer = api.get(path, {"limit": 2, **cursor}).json
            seen += [row["id"] for row in answer["rows"]]
            cursor = {"cursor": answer["pagination"].get("nextCursor")}
        assert cursor == {"cursor": None}
        assert seen == [str(one.id) for one in reversed(made)]

    def test_an_entry_looks_so(self, cast: Cast, api: ApiClient, path: str) -> None:
        make_entries(cast, "cron.update", before={"name": "a"}, after={"name": "b"}, address="::1")
        [row] = api.get(path).json["rows"]
        assert row["actor"] == {"kind": "person", "id": "1", "name": "ann@acme.test"}
        assert (row["before"], row["after"]) == ({"name": "a"}, {"name": "b"})
        assert row["address"] == "::1"

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"action": "cron.delete"}, ["cron.delete"]),
            ({"action": "cron.*"}, ["cron.delete", "cron.create"]),
            ({"actor": "person"}, ["webhook.create", "cron.delete", "cron.create"]),
            ({"actor": "ANN@acme.test"}, ["webhook.create", "cron.delete", "cron.create"]),
            ({"actor": "1"}, ["webhook.create", "cron.delete", "cron.create"]),
            ({"actor": "system"}, []),
            ({"resource": "webhook"}, ["webhook.create"]),
            ({"resource": "webhook:7"}, ["webhook.create"]),
            ({"resource": "webhook:8"}, []),
            ({"search": "ORDERS"}, ["webhook.create"]),
            ({"search": "100%"}, []),
            ({"since": "2099-01-01T00:00:00Z"}, []),
            ({"until": "2099-01-01T00:00:00Z", "action": "cron.delete"}, ["cron.delete"]),
        ],
        ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
    )
    def test_it_can_be_narrowed(
        self, query: dict[str, str], found: list[str], cast: Cast, api: ApiClient, path: str
    ) -> None:
        make_entries(cast, "cron.create", "cron.delete")
        make_entries(cast, "webhook.create", resource_id="7", resource_name="orders")
        assert [row["action"] for row in api.get(path, query).json["rows"]] == found

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": "0"},
            {"limit": "1001"},
            {"cursor": "x"},
            {"cursor": "0"},
            {"cursor": str(2**63)},
            {"since": "yesterday"},
            {"search": "a\0b"},
        ],
        ids=json.dumps,
    )
    def test_what_makes_no_sense_is_400(
        self, query: dict[str, str], api: ApiClient, path: str
    ) -> None:
        assert api.get(path, query).status == 400

    @pytest.mark.parametrize("end", ["", "/export", "/export.csv"])
    def test_it_is_for_admins_of_the_tenant(self, end: str, cast: Cast, path: str) -> None:
        for role in Role:
            status = ApiClient(user=cast.by_role(role)).get(path + end).status
            assert status == (200 if role in (Role.OWNER, Role.ADMIN) else 401)
        assert ApiClient(user=cast.stranger).get(path + end).status == 401

    def test_others_entries_are_not_in_it(self, cast: Cast, api: ApiClient, path: str) -> None:
        make_entries(cast, "cron.create", tenant_id=cast.other_tenant.id)
        make_entries(cast, "user.sign_in", tenant_id=None)
        assert api.get(path).json["rows"] == []
        assert api.get(f"{path}/export").content == b""
        assert len(api.get(f"{path}/export.csv").content.splitlines()) == 1


def test_entitlements_say_that_there_is_one(api: ApiClient, tenant: str) -> None:
    assert api.get(f"{tenant}/entitlements").json["auditLogs"] is True
