"""Crons, one-time schedules and filtered events with the official SDK."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("triggers")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("triggers")


def notes(tenant: Tenant, name: str, source: str, count: int) -> list[dict[str, Any]]:
    """What the runs of `name` from this source were told, once there are so many."""

    def found() -> list[dict[str, Any]]:
        told = [json.loads(line) for line in tenant.marks(name)]
        return [one for one in told if one["source"] == source]

    wait_for(f"{count} runs from {source}", lambda: len(found()) >= count)
    return found()


def test_a_declared_cron_fires_once_a_second(tenant: Tenant, client: Client) -> None:
    told = notes(tenant, "ticking", "code", 4)
    ((cron_id, expression, name, method, given),) = client.call("declared_crons")
    assert (expression, name, method, given["source"]) == ("* * * * * *", "", "DEFAULT", "code")
    client.call("delete_cron", cron_id=cron_id)
    times = sorted(
        datetime.fromisoformat(one["metadata"]["hatchet__cron_scheduled_at"]) for one in told
    )
    assert times == [times[0] + timedelta(seconds=n) for n in range(len(told))]
    assert {one["metadata"]["hatchet__cron_expression"] for one in told} == {"* * * * * *"}
    assert client.call("declared_crons") == []


def test_a_cron_made_by_the_api(tenant: Tenant, client: Client) -> None:
    cron_id, *rest = client.call("make_cron", expression="*/1 * * * * *")
    assert rest == ["*/1 * * * * *", "often", True, 2]
    told = notes(tenant, "planned", "cron", 2)
    client.call("delete_cron", cron_id=cron_id)
    assert told[0]["metadata"]["team"] == "a"
    assert told[0]["metadata"]["hatchet__cron_name"] == "often"
    for nonsense in ("61 * * * *", "99 99 * * * *"):
        with pytest.raises(CallFailed) as refused:
            client.call("make_cron", expression=nonsense)
        assert refused.value.kind == "BadRequestException"


def test_schedules_run_once_at_their_time_or_at_once(tenant: Tenant, client: Client) -> None:
    ids = [client.call("schedule_in", delay=delay) for delay in (-60, 1)]
    told = notes(tenant, "planned", "schedule", 2)
    assert len({one["run"] for one in told}) == 2
    wait_for(
        "both runs to be shown as done",
        lambda: {client.call("schedules").get(one) for one in ids} == {"SUCCEEDED"},
    )
    late = [client.call("schedule_by_rest", delay=3600) for _ in range(3)]
    client.call("move_schedule", schedule_id=late[0], delay=0)
    (moved,) = notes(tenant, "planned", "rest", 1)
    assert moved["metadata"]["team"] == "b"
    deleted, refused = client.call("delete_schedules", ids=late)
    assert (sorted(deleted), refused) == (sorted(late[1:]), [late[0]])
    assert len(notes(tenant, "planned", "schedule", 2)) == 2


def test_filters_choose_among_events(tenant: Tenant, client: Client) -> None:
    unwanted = [
        client.call("push", key="order:paid", amount=amount, scope=scope)
        for amount, scope in ((99, "orders"), (100, "else"), (100, None))
    ]
    first = client.call("push", key="order:paid", amount=100, scope="orders")
    (passed,) = notes(tenant, "filtered", "event", 1)
    assert passed["filter"] == {"least": 100}
    assert passed["metadata"]["hatchet__event_id"] == first
    assert passed["metadata"]["a"] == "b"
    # Nobody knows beforehand what a pattern from the data costs: it is evaluated aside.
    costly = "input.amount > 1000 && event_key.matches(input.source + '|order:.*')"
    made = client.call("add_filter", expression=costly, payload={"is": "huge"})
    second = client.call("push", key="order:paid", amount=2000, scope="orders")
    wait_for("both runs", lambda: client.call("runs_of_event", event_id=second) == 2)
    told = notes(tenant, "filtered", "event", 3)[1:]
    assert sorted(json.dumps(one["filter"]) for one in told) == ['{"is": "huge"}', '{"least": 100}']
    client.call("delete_filter", filter_id=made)
    third = client.call("push", key="order:paid", amount=2000, scope="orders")
    wait_for("one run", lambda: client.call("runs_of_event", event_id=third) == 1)
    assert [client.call("runs_of_event", event_id=one) for one in unwanted] == [0, 0, 0]
    assert len(notes(tenant, "filtered", "event", 4)) == 4


def test_expressions_can_be_tried_out(client: Client) -> None:
    assert client.call("debug", expression="input.n == 1", given={"n": 1}) is True
    assert "no such key" in client.call("debug", expression="input.m == 1", given={"n": 1})
    hostile = "input.l.map(a, input.l.map(b, input.l.map(c, [a, b, c]))).size() > 0"
    refused = client.call("debug", expression=hostile, given={"l": list(range(2000))})
    assert "the expression" in refused or "Iteration budget" in refused


def test_a_deleted_workflow_is_made_anew_by_the_next_worker(tenant: Tenant, client: Client) -> None:
    # The engine knows the workflow by heart now, and has to be told that another process deletes it.
    assert client.call("run_ticking") == {"source": "hand"}
    gone = client.call("delete_workflow", workflow="ticking")
    assert client.call("workflow_ids", workflow="ticking") == []
    assert client.call("declared_crons") == []
    with pytest.raises(CallFailed, match="not found: ticking"):
        client.call("run_ticking")
    tenant.start_worker("triggers")
    (made,) = client.call("workflow_ids", workflow="ticking")
    assert made != gone
    ((cron_id, *_),) = client.call("declared_crons")
    assert client.call("run_cron", cron_id=cron_id) == {"ticking": {"source": "code"}}
    assert client.call("run_ticking") == {"source": "hand"}
    client.call("delete_cron", cron_id=cron_id)
