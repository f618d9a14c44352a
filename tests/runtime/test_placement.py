"""Labels and stickiness in a whole engine: what a run asks for holds for all its tasks and attempts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.states import Sticky
from engine.types import DesiredLabel, ReportKind, TriggerRequest
from tests.runtime.harness import FakeWorker, engine_on, make_tenant, until, workflow

IN_EU = (DesiredLabel("zone", "eu", is_required=True),)
IN_US = (DesiredLabel("zone", "us", is_required=True),)
ACTIONS = ("chain:a", "chain:b", "work:run")


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
async def engine(conninfo: str, tenant_id: UUID) -> AsyncIterator[HatchetEngine]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(engine_on(conninfo))
        await until(lambda: tenant_id in engine.ownership.owners)
        yield engine


async def connect(
    engine: HatchetEngine, tenant_id: UUID, slots: int = 10, **labels: str | int
) -> FakeWorker:
    return await FakeWorker.connect(engine, tenant_id, *ACTIONS, slots=slots, labels=labels)


def chain(
    labels: tuple[DesiredLabel, ...] = (), sticky: Sticky | None = None, retries: int = 0
) -> WorkflowDefinition:
    first = StepDefinition("a", "chain:a", worker_labels=labels, retries=retries)
    second = StepDefinition("b", "chain:b", parents=("a",), worker_labels=labels)
    return WorkflowDefinition("chain", (first, second), sticky=sticky)


async def test_the_labels_of_a_run_replace_those_of_its_steps_in_every_attempt(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await connect(engine, tenant_id, zone="us")
    european = await connect(engine, tenant_id, zone="eu")
    await engine.put_workflow(tenant_id, chain(IN_US, retries=1))
    (run_id,) = await engine.trigger_runs(
        tenant_id, [TriggerRequest("chain", desired_labels=IN_EU)]
    )
    await european.report(await european.next_start(), ReportKind.FAILED, b"once more")
    for name in ("a", "b"):
        action = await european.next_start()
        assert action.readable_id == name
        await european.complete(action)
    await engine.replay(tenant_id, [run_id])
    again = await european.next_start()
    assert (again.readable_id, again.retry_count) == ("a", 2)
    await european.complete(again)
    assert (await european.next_start()).readable_id == "b"


async def test_steps_ask_for_their_own_labels_when_the_run_does_not(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    american = await connect(engine, tenant_id, zone="us")
    await connect(engine, tenant_id, zone="eu")
    await engine.put_workflow(tenant_id, workflow(worker_labels=IN_US))
    await engine.trigger_runs(tenant_id, [TriggerRequest("work")] * 3)
    for _ in range(3):
        await american.next_start()


async def test_a_waiting_run_starts_when_a_worker_changes_its_labels(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await connect(engine, tenant_id, zone="us")
    await engine.put_workflow(tenant_id, workflow())
    placed, plain = await engine.trigger_runs(
        tenant_id, [TriggerRequest("work", desired_labels=IN_EU), TriggerRequest("work")]
    )
    assert (await worker.next_start()).run_id == plain
    await engine.upsert_labels(tenant_id, worker.id, {"zone": "eu"})
    assert (await worker.next_start()).run_id == placed


async def test_a_placement_outlives_the_engine_that_took_it(conninfo: str, tenant_id: UUID) -> None:
    async with engine_on(conninfo) as first:
        await first.put_workflow(tenant_id, workflow())
        placed, plain = await first.trigger_runs(
            tenant_id, [TriggerRequest("work", desired_labels=IN_EU), TriggerRequest("work")]
        )
    async with engine_on(conninfo) as second:
        american = await connect(second, tenant_id, zone="us")
        assert (await american.next_start()).run_id == plain
        european = await connect(second, tenant_id, zone="eu")
        assert (await european.next_start()).run_id == placed


async def test_a_hard_sticky_run_stays_on_the_worker_it_started_on(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    small = await connect(engine, tenant_id, slots=1)
    await connect(engine, tenant_id, slots=50)
    await engine.put_workflow(tenant_id, chain(sticky=Sticky.HARD))
    runs = await engine.trigger_runs(
        tenant_id, [TriggerRequest("chain", desired_worker_id=small.id)] * 2
    )
    seen = []
    for _ in range(4):
        action = await small.next_start()
        seen.append((action.run_id, action.readable_id))
        await small.complete(action)
    assert sorted(seen) == sorted((run_id, name) for run_id in runs for name in ("a", "b"))


async def test_a_soft_sticky_run_goes_on_elsewhere_when_its_worker_is_full(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    small = await connect(engine, tenant_id, slots=1)
    large = await connect(engine, tenant_id, slots=50)
    await engine.put_workflow(tenant_id, chain(sticky=Sticky.SOFT))
    wanted = TriggerRequest("chain", desired_worker_id=small.id)
    first, second = await engine.trigger_runs(tenant_id, [wanted] * 2)
    assert (await small.next_start()).run_id == first
    assert (await large.next_start()).run_id == second


async def test_a_worker_is_asked_for_in_vain_where_nothing_is_sticky(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    small = await connect(engine, tenant_id, slots=1)
    large = await connect(engine, tenant_id, slots=50)
    await engine.put_workflow(tenant_id, workflow())
    await engine.trigger_runs(tenant_id, [TriggerRequest("work", desired_worker_id=small.id)])
    await large.next_start()
