"""Tokens of narrow scopes with the official SDK: each does its own part, and none that of another."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

import pytest

from engine.states import Status
from tenants.models import TokenScope
from tests.e2e.tenant import CallFailed, Client, Tenant, wait_for

READER, STARTER, WORKER = TokenScope.READ_ONLY, TokenScope.TRIGGER_ONLY, TokenScope.WORKER_ONLY


@pytest.fixture(scope="module")
def tokens(tenant: Tenant) -> Mapping[TokenScope, str]:
    return {scope: tenant.new_token("--scope", scope.value) for scope in (READER, STARTER, WORKER)}


@pytest.fixture(scope="module", autouse=True)
def _worker(tenant: Tenant, tokens: Mapping[TokenScope, str]) -> None:
    tenant.start_worker("spread", {"HATCHET_CLIENT_TOKEN": tokens[WORKER]})


@pytest.fixture(scope="module")
def clients(tenant: Tenant, tokens: Mapping[TokenScope, str]) -> Mapping[TokenScope, Client]:
    return {
        scope: tenant.start_client("spread", {"HATCHET_CLIENT_TOKEN": token})
        for scope, token in tokens.items()
    }


def test_one_starts_one_works_and_one_looks(
    tenant: Tenant, clients: Mapping[TokenScope, Client]
) -> None:
    run_id = clients[STARTER].call("start_parent")
    result = clients[READER].call("result_of_parent", run_id=run_id)
    assert [child["number"] for child in result["children"]] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert clients[READER].call("runs_of_parent", run_id=run_id) == 7


def test_events_and_log_lines_take_the_same_way(
    tenant: Tenant, clients: Mapping[TokenScope, Client]
) -> None:
    pushed = clients[STARTER].call("push", key="order:created", payload={}, metadata={"by": "it"})

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = clients[READER].call("runs_of_event", event_id=pushed["id"])
        return found if [run["status"] for run in found] == ["COMPLETED"] * 2 else []

    wait_for("the event's runs", runs)
    run_id = clients[STARTER].call("start_logging")
    tenant.wait_for_status(run_id, Status.COMPLETED)
    wait_for("its lines", lambda: len(clients[READER].call("logs", run_id=run_id)) == 42)


def test_durable_tasks_are_worked_on_too(tenant: Tenant, tokens: Mapping[TokenScope, str]) -> None:
    tenant.start_worker("durable", {"HATCHET_CLIENT_TOKEN": tokens[WORKER]})
    starter = tenant.start_client("durable", {"HATCHET_CLIENT_TOKEN": tokens[STARTER]})
    reader = tenant.start_client("durable", {"HATCHET_CLIENT_TOKEN": tokens[READER]})
    run_id = starter.call("start", task="spawning", given={"number": 3})
    assert reader.call("result", run_id=run_id)["spawning"]["one"] == {"number": 3}


def test_a_worker_that_is_to_stop_pauses_itself(
    tenant: Tenant, tokens: Mapping[TokenScope, str]
) -> None:
    worker = tenant.start_worker("basics", {"HATCHET_CLIENT_TOKEN": tokens[WORKER]})
    starter = tenant.start_client("basics", {"HATCHET_CLIENT_TOKEN": tokens[STARTER]})
    run_id = starter.call("start_waiting")
    tenant.wait_for_marks("arrived")
    worker.service.process.send_signal(signal.SIGTERM)
    paused = "SELECT 1 FROM engine_worker WHERE id = %s AND is_paused"
    wait_for("the worker to be paused", lambda: tenant.rows(paused, worker.id))
    tenant.open_gate("basics")
    tenant.wait_for_status(run_id, Status.COMPLETED)


@pytest.mark.parametrize(
    ("scope", "call", "given"),
    [
        (READER, "start_parent", {}),
        (READER, "push", {"key": "order:created", "payload": {}, "metadata": {}}),
        (STARTER, "logs", {"run_id": ""}),
        (STARTER, "runs_with", {"metadata": {}}),
        (WORKER, "start_parent", {}),
        (WORKER, "push", {"key": "order:created", "payload": {}, "metadata": {}}),
        (WORKER, "runs_with", {"metadata": {}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_none_does_what_is_anothers(
    scope: TokenScope,
    call: str,
    given: dict[str, Any],
    tenant: Tenant,
    clients: Mapping[TokenScope, Client],
) -> None:
    def numbers() -> list[tuple[Any, ...]]:
        return tenant.rows(
            "SELECT (SELECT count(*) FROM engine_run WHERE tenant_id = %s),"
            " (SELECT count(*) FROM engine_event WHERE tenant_id = %s)",
            tenant.id,
            tenant.id,
        )

    if "run_id" in given:
        given = {"run_id": clients[STARTER].call("start_logging")}
        tenant.wait_for_status(given["run_id"], Status.COMPLETED)
    before = numbers()
    with pytest.raises(CallFailed) as refused:
        clients[scope].call(call, **given)
    assert f'of the scope "{scope.value}" may not call' in refused.value.text.replace("\\", "")
    assert numbers() == before
