"""Namespaces with the official SDK: several share a tenant and never meet."""

from __future__ import annotations

import pytest

from engine.states import Status
from tests.e2e.tenant import CallFailed, Client, Tenant, wait_for

NAMES = ("blue", "green")


def in_namespace(name: str) -> dict[str, str]:
    return {"HATCHET_CLIENT_NAMESPACE": name}


@pytest.fixture(scope="module")
def clients(tenant: Tenant) -> dict[str, Client]:
    for name in NAMES:
        tenant.start_worker("conditional", in_namespace(name))
    return {name: tenant.start_client("conditional", in_namespace(name)) for name in NAMES}


def test_waiting_tasks_hear_events_of_their_own_namespace_under_their_own_key(
    tenant: Tenant, clients: dict[str, Client]
) -> None:
    runs = {name: clients[name].call("start", workflow="gated") for name in NAMES}
    waits = "SELECT 1 FROM engine_stepwait WHERE tenant_id = %s AND satisfied_at IS NULL"
    wait_for("both to wait", lambda: len(tenant.rows(waits, tenant.id)) == 2)
    for name in NAMES:
        assert tenant.statuses([runs[name]]) == {runs[name]: Status.QUEUED}
        clients[name].call("push", key="gated:go", payload={"by": name})
        assert clients[name].call("result", run_id=runs[name]) == {
            "gate": {"triggers": {"gated:go": {"by": name}, "filter_payload": None}}
        }


def test_events_start_workflows_of_their_own_namespace(
    tenant: Tenant, clients: dict[str, Client]
) -> None:
    tenant.start_worker("spread", in_namespace("green"))
    client = tenant.start_client("spread", in_namespace("green"))
    pushed = client.call("push", key="order:created", payload={}, metadata={})
    assert pushed["key"] == "green_order:created"

    def finished() -> bool:
        runs = client.call("runs_of_event", event_id=pushed["id"])
        return sorted(run["workflow"] for run in runs if run["status"] == "COMPLETED") == [
            "green_on-any-order",
            "green_on-order",
        ]

    wait_for("the two workflows of the namespace", finished)


def test_without_a_namespace_there_is_no_such_workflow(
    tenant: Tenant, clients: dict[str, Client]
) -> None:
    plain = tenant.start_client("conditional")
    with pytest.raises(CallFailed, match="not found: gated"):
        plain.call("start", workflow="gated")
