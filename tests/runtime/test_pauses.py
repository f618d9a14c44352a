"""A pause made by another process: nothing of the workflow starts, everything else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine.operations.pause_workflows import Pause, pause_workflow, unpause_workflow
from engine.runtime.engine import HatchetEngine
from engine.runtime.hints.reader import HintReader
from engine.runtime.scheduler import owner
from engine.states import Status
from engine.types import TriggerRequest
from tests.runtime.harness import (
    FakeWorker,
    break_once,
    elsewhere,
    engine_on,
    make_tenant,
    result_of,
    trigger,
    until,
    workflow,
)

LONG = Pause("QUEUE", "QUEUE", 600.0)


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
async def engine(conninfo: str, tenant_id: UUID) -> AsyncIterator[HatchetEngine]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(engine_on(conninfo))
        await until(lambda: is_owned(engine, tenant_id))
        yield engine


def is_owned(engine: HatchetEngine, tenant_id: UUID) -> bool:
    owner = engine.ownership.owners.get(tenant_id)
    return owner is not None and owner.is_ready


async def pause(
    engine: HatchetEngine, tenant_id: UUID, workflow_id: UUID, settings: Pause = LONG
) -> None:
    await elsewhere(pause_workflow(tenant_id, workflow_id, settings, datetime.now(UTC)))
    await until(lambda: workflow_id in engine.ownership.owners[tenant_id].pauses.workflows)


async def test_runs_of_a_paused_workflow_wait_for_its_end(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    _, workflow_id = await engine.put_workflow(tenant_id, workflow())
    await engine.put_workflow(tenant_id, workflow("free"))
    waiting = await trigger(engine, tenant_id)
    await pause(engine, tenant_id, workflow_id)
    worker = await FakeWorker.connect(engine, tenant_id, "work:run", "free:run")
    waiting += await trigger(engine, tenant_id, 2)
    (free,) = await engine.trigger_runs(tenant_id, [TriggerRequest("free")])
    action = await worker.next_start()
    assert action.run_id == free
    await elsewhere(unpause_workflow(tenant_id, workflow_id, datetime.now(UTC)))
    assert {(await worker.next_start()).run_id for _ in waiting} == set(waiting)


async def test_a_held_run_is_cancelled_when_its_time_is_over(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    _, workflow_id = await engine.put_workflow(tenant_id, workflow())
    await FakeWorker.connect(engine, tenant_id)
    await pause(engine, tenant_id, workflow_id, Pause("QUEUE", "QUEUE", 0.3))
    (run_id,) = await trigger(engine, tenant_id)
    (result,) = (await result_of(engine, tenant_id, run_id)).results
    assert result.status is Status.CANCELLED


async def test_nothing_is_handed_out_between_the_hint_and_its_reading(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    owner = engine.ownership.owners[tenant_id]
    monkeypatch.setattr(HintReader, "receive", lambda _self, _payload: None)
    owner.pauses.invalidate()
    (run_id,) = await trigger(engine, tenant_id)
    details = await engine.get_run_details(tenant_id, run_id)
    assert details.status is Status.QUEUED
    await owner.reload_rules()
    assert (await worker.next_start()).run_id == run_id


async def test_the_pauses_are_read_again_when_an_outage_is_over(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, workflow_id = await engine.put_workflow(tenant_id, workflow())
    await engine.put_workflow(tenant_id, workflow("free"))
    worker = await FakeWorker.connect(engine, tenant_id, "free:run")
    outages = break_once(monkeypatch, owner, "load_rules")
    pausing = pause_workflow(tenant_id, workflow_id, LONG, datetime.now(UTC))
    await elsewhere(pausing)
    await until(lambda: not outages)
    (run_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("free")])
    assert (await worker.next_start()).run_id == run_id


async def test_a_scheduler_that_read_everything_anew_knows_the_pauses(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    engine.ownership.owners[tenant_id].pauses.invalidate()
    engine.ownership.invalidate_all()
    await trigger(engine, tenant_id)
    await worker.next_start()
