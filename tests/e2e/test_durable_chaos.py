"""Worker, engine and database are killed while durable tasks wait, sleep and spawn: all of them finish."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import orjson
import pytest

from engine.postgres import BundledPostgres
from engine.states import DurableKind, Status
from tests.e2e.stack import Service
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.e2e.test_postgres_faults import kill_postmaster, postgres, tenant

__all__ = ["postgres", "tenant"]

pytestmark = pytest.mark.chaos

SECONDS = 120.0
"""On a machine that has much else to do; alone it is a fraction of that."""


def count(tenant: Tenant, condition: str) -> int:
    sql = f"SELECT count(*) FROM engine_durableentry WHERE {condition}"
    return int(tenant.rows(sql)[0][0])


def kill_worker(tenant: Tenant, worker: WorkerProcess) -> None:
    """Nobody waits half a minute for its heartbeat: it is as if it had been dead for that long."""
    worker.service.kill()
    tenant.rows(
        "UPDATE engine_worker SET last_heartbeat_at = now() - interval '1 minute'"
        " WHERE id = %s RETURNING 1",
        worker.id,
    )


def engine_of(tenant: Tenant) -> Service:
    return [service for service in tenant.stack.services if service.name == "engine"][-1]


def play(
    tenant: Tenant, client: Client, postgres: BundledPostgres, worker: str, runs: int
) -> list[str]:
    """Start journeys, kill everything on the way, and let them go on."""
    doomed = tenant.start_worker(worker)
    ids: list[str] = client.call("start", count=runs, seconds=SECONDS)
    remembered = f"kind = {DurableKind.MEMO} AND satisfied_at IS NOT NULL"
    wait_for("every memo to be kept", lambda: count(tenant, remembered) == runs, SECONDS)
    kill_worker(tenant, doomed)
    engine_of(tenant).kill()
    tenant.stack.start_engine()
    tenant.start_worker(worker)
    spawned = f"kind = {DurableKind.RUN}"
    wait_for("a third to spawn", lambda: count(tenant, spawned) >= runs / 3, SECONDS)
    kill_postmaster(postgres)
    postgres.start()
    wait_for("two thirds to spawn", lambda: count(tenant, spawned) >= 2 * runs / 3, SECONDS)
    engine_of(tenant).kill()
    tenant.stack.start_engine()
    waits = "node_id = 4"
    wait_for("all to wait for an event", lambda: count(tenant, waits) == runs, SECONDS)
    client.call("go", seconds=SECONDS)
    wait_for("all to end", lambda: not unfinished(tenant, ids), SECONDS)
    return ids


def unfinished(tenant: Tenant, ids: list[str]) -> Counter[str]:
    names = Counter(status.name for status in tenant.statuses(ids).values())
    del names[Status.COMPLETED.name]
    return names


def check(tenant: Tenant, ids: list[str]) -> None:
    """Every run came to what its log says, and did each thing once."""
    outputs = dict(
        tenant.rows(
            "SELECT owner_id, data FROM engine_payload WHERE kind = 2 AND owner_id = ANY(%s)",
            [UUID(run_id) for run_id in ids],
        )
    )
    memos = dict(
        tenant.rows(
            f"SELECT task_id, result FROM engine_durableentry WHERE kind = {DurableKind.MEMO}"
        )
    )
    children = dict(
        tenant.rows(
            "SELECT parent_task_id, count(*) FROM engine_run"
            " WHERE parent_task_id IS NOT NULL GROUP BY parent_task_id"
        )
    )
    for number, run_id in enumerate(ids):
        token = orjson.loads(memos[UUID(run_id)])["token"]
        found = orjson.loads(outputs[UUID(run_id)])
        assert found == {"token": token, "child": number, "event": 7}, tenant.task_history(run_id)
        assert children[UUID(run_id)] == 1
    assert Counter(tenant.marks("tossed")) == Counter(map(str, range(len(ids))))
    assert tenant.marks("errors") == []


def test_500_durable_tasks_outlive_worker_engine_and_database(
    postgres: BundledPostgres, tenant: Tenant
) -> None:
    client = tenant.start_client("journeys")
    client.call("register")
    check(tenant, play(tenant, client, postgres, "steady_journeys", 500))


def test_durable_tasks_of_the_official_sdk_outlive_worker_engine_and_database(
    postgres: BundledPostgres, tenant: Tenant
) -> None:
    client = tenant.start_client("journeys")
    check(tenant, play(tenant, client, postgres, "journeys", 40))
