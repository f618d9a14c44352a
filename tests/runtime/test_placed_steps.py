"""A graph's next task starts with the commit of the completion that frees it, if a slot is free then."""

from __future__ import annotations

from uuid import UUID

import orjson
import psycopg
import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.types import TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker

CHAIN = WorkflowDefinition(
    "chain",
    (StepDefinition("a", "work:run"), StepDefinition("b", "work:run", parents=("a",))),
)


async def writers(conninfo: str, task_ids: list[UUID]) -> list[str]:
    """Return the transactions that wrote the rows of these tasks last."""
    sql = "SELECT xmin::text FROM engine_task WHERE id = %s"
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        found = [
            await (await connection.execute(sql, [task_id])).fetchone() for task_id in task_ids
        ]
    return [row[0] for row in found if row is not None]


@pytest.mark.parametrize("slots", [1, 2])
async def test_the_next_task_is_written_with_the_completion(
    slots: int, engine: HatchetEngine, conninfo: str, tenant_id: UUID, recorder: Recorder
) -> None:
    """The slot of the task that completes is free only after that is committed."""
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, CHAIN)
    worker = await FakeWorker.connect(engine, tenant_id, slots=slots)
    await engine.trigger_runs(tenant_id, [TriggerRequest("chain")])
    first = await worker.next_start()
    await worker.complete(first, b'{"n":1}')
    second = await worker.next_start()
    assert orjson.loads(second.payload)["parents"] == {"a": {"n": 1}}
    completed, begun = await writers(conninfo, [first.task_id, second.task_id])
    assert (completed == begun) is (slots == 2)
    await worker.complete(second, b"{}")
    await recorder.wait_for("runs.finished", tenant_id=tenant_id)
