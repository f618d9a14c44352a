"""The official SDK's own models accept every answer, with nothing in it that they do not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tenants.models import APIToken, TokenScope
from tenants.tokens import create_token, rotate_token
from tests.api.client import ApiClient
from tests.api.factories import (
    now,
)
from tests.api.load import failures_of
from tests.cast import Cast


class Answers:
    """Collects answers and the names of the models that must load them."""

    def __init__(self) -> None:
        self._found: list[Any] = []

    def add(self, model: str, client: ApiClient, path: str, **query: object) -> None:
        answer = client.get(path, query or None)
        assert answer.status == 200, (path, answer.content)
        assert answer.headers["Content-Type"] == "application/json"
        self._found.append((f"{path} {query}", model, answer.json))

    def add_body(self, label: str, model: str, body: Any) -> None:
        self._found.append((label, model, body))

    def failures(self) -> dict[str, str]:
        return failures_of(self._found)


def test_runs_and_tasks_load(cast: Cast, api: ApiClient, world: dict[str, str]) -> None:
    answers = Answers()
    stable = "/api/v1/stable"
    base = f"{stable}/tenants/{cast.tenant.id}"
    since = (now() - timedelta(hours=1)).isoformat()
    for only_tasks in ("true", "false"):
        for payloads in ("true", "false"):
            asked = {"only_tasks": only_tasks, "include_payloads": payloads, "since": since}
            answers.add("V1TaskSummaryList", api, f"{base}/workflow-runs", **asked)
    for name in ("done", "failed", "retried", "graph"):
        answers.add("V1WorkflowRunDetails", api, f"{stable}/workflow-runs/{world[name]}")
        answers.add("V1TaskStatus", api, f"{stable}/workflow-runs/{world[name]}/status")
        timings = f"{stable}/workflow-runs/{world[name]}/task-timings"
        answers.add("V1TaskTimingList", api, timings, depth=2)
        answers.add("V1TaskEventList", api, f"{stable}/workflow-runs/{world[name]}/task-events")
    for name in ("done", "failed", "retried", "graph_task"):
        answers.add("V1TaskSummary", api, f"{stable}/tasks/{world[name]}")
        answers.add("V1TaskSummary", api, f"{stable}/tasks/{world[name]}", attempt=1)
        answers.add("V1TaskEventList", api, f"{stable}/tasks/{world[name]}/task-events")
        answers.add("V1LogLineList", api, f"{stable}/tasks/{world[name]}/logs")
    answers.add("V1WorkflowRunCount", api, f"{base}/workflow-runs/count", since=since)
    names = f"{base}/workflow-runs/display-names"
    answers.add("V1WorkflowRunDisplayNameList", api, names, external_ids=world["done"])
    trigger = api.post(
        f"{base}/workflow-runs/trigger",
        {"workflowName": "dag", "input": {"a": 1}, "additionalMetadata": {"k": "v"}},
    )
    answers.add_body("trigger", "V1WorkflowRunDetails", trigger.json)
    ids = {"externalIds": [world["failed"], world["graph"]]}
    replayed = api.post(f"{base}/tasks/replay", ids)
    answers.add_body("replay", "V1ReplayedTasks", replayed.json)
    answers.add_body("cancel", "V1CancelledTasks", api.post(f"{base}/tasks/cancel", ids).json)
    answers.add("V1WorkflowRunDetails", api, f"{stable}/workflow-runs/{world['graph']}")
    assert answers.failures() == {}


def test_everything_else_loads(cast: Cast, api: ApiClient, world: dict[str, str]) -> None:
    answers = Answers()
    stable = f"/api/v1/stable/tenants/{cast.tenant.id}"
    tenant = f"/api/v1/tenants/{cast.tenant.id}"
    answers.add("V1EventList", api, f"{stable}/events")
    answers.add("V1Event", api, f"{stable}/events/{world['event']}")
    answers.add("EventKeyList", api, f"{stable}/events/keys")
    answers.add("Event", api, f"/api/v1/events/{world['event']}")
    answers.add("EventData", api, f"/api/v1/events/{world['event']}/data")
    answers.add("EventData", api, f"{tenant}/events/{world['event']}/data")
    answers.add("WorkflowList", api, f"{tenant}/workflows", name="d")
    answers.add("Workflow", api, f"/api/v1/workflows/{world['workflow']}")
    versions = f"/api/v1/workflows/{world['workflow']}/versions"
    answers.add("WorkflowVersion", api, versions)
    answers.add("WorkflowVersion", api, versions, version=world["version"])
    answers.add("WorkerList", api, f"{tenant}/worker")
    answers.add("Worker", api, f"/api/v1/workers/{world['worker']}")
    answers.add("[V1TaskRunMetric]", api, f"{stable}/task-metrics", since="2020-01-01T00:00:00Z")
    answers.add("V1TaskPointMetrics", api, f"{stable}/task-point-metrics")
    answers.add("V1LogsPointMetrics", api, f"{stable}/log-point-metrics")
    answers.add("TenantStepRunQueueMetrics", api, f"{tenant}/step-run-queue-metrics")
    stats = api.get(f"{tenant}/task-stats").json
    answers.add_body("task stats", "[TaskStat]", list(stats.values()))
    answers.add("V1LogLineList", api, f"{stable}/logs")
    answers.add("OtelSpanList", api, f"{stable}/traces", run_external_id=world["done"])
    answers.add("Tenant", api, tenant)
    answers.add("TenantResourcePolicy", api, f"{tenant}/resource-policy")
    answers.add("TenantEntitlements", api, f"{tenant}/entitlements")
    flag = {"featureFlagId": "trace-minimap-enabled", "isEnabledIfNoPosthog": "true"}
    answers.add("FeatureFlagEvaluationResult", api, f"{tenant}/feature-flags", **flag)
    owner = ApiClient(user=cast.owner)
    record, _ = create_token(cast.tenant, "one", scope=TokenScope.WORKER_ONLY)
    APIToken.objects.filter(id=record.id).update(last_used_at=now())
    rotate_token(record.id, overlap=timedelta(hours=1))
    answers.add("ListAPITokensResponse", owner, f"{tenant}/api-tokens")
    answers.add("TenantMemberList", owner, f"{tenant}/members")
    answers.add("User", owner, "/api/v1/users/current")
    answers.add("UserTenantMembershipsList", owner, "/api/v1/users/memberships")
    answers.add("APIMeta", owner, "/api/v1/meta")
    answers.add("APIErrors", owner, "/api/v1/cloud/metadata")
    assert answers.failures() == {}
