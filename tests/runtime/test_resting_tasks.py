"""A task in its back-off gives up its concurrency slots, not its age and its having begun."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, Status
from engine.types import Action, ReportKind, TaskReport
from tests.runtime.harness import FakeWorker, engine_on, settled, until
from tests.runtime.test_concurrency import limited, status_of, trigger

IN_PROGRESS = ConcurrencyStrategy.CANCEL_IN_PROGRESS
_LONG_MS = 3_600_000


async def fail_for_long(engine: HatchetEngine, tenant_id: UUID, action: Action) -> None:
    """Have a running task rest until the test ends its back-off."""
    await engine.report(
        TaskReport(
            tenant_id,
            action.task_id,
            ReportKind.FAILED,
            action.retry_count,
            b"boom",
            retry_after_ms=_LONG_MS,
        )
    )


async def end_back_off(conninfo: str, engine: HatchetEngine, task_id: UUID) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_task SET due_at = now() WHERE id = %s AND is_delayed", [task_id]
        )
    engine.clock.wake()


@pytest.mark.parametrize(
    "strategy",
    [
        ConcurrencyStrategy.CANCEL_NEWEST,
        ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST,
        ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST,
    ],
)
async def test_who_comes_back_from_its_back_off_is_no_newcomer(
    strategy: ConcurrencyStrategy, conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(strategy, retries=3))
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await trigger(engine, tenant_id)
    await fail_for_long(engine, tenant_id, await worker.next_start())
    (second,) = await trigger(engine, tenant_id)
    running = await worker.next_start()
    assert running.task_id == second
    await end_back_off(conninfo, engine, first)
    groups = engine.ownership.owners[tenant_id].machine.groups
    await until(lambda: groups.blocking(first) is not None)
    newcomers = await trigger(engine, tenant_id, count=2)
    refused = {
        ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST: newcomers[:1],
        ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST: newcomers[1:],
    }.get(strategy, newcomers)
    for run_id in refused:
        assert await status_of(engine, tenant_id, run_id) is Status.CANCELLED
    await worker.complete(running)
    again = await worker.next_start()
    assert (again.task_id, again.retry_count) == (first, 1)
    await worker.complete(again)
    assert await status_of(engine, tenant_id, first) is Status.COMPLETED


@pytest.mark.parametrize("way", ["at once", "rebuilt"])
async def test_a_successor_outdoes_a_run_in_its_back_off(
    way: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(IN_PROGRESS, retries=3))
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await trigger(engine, tenant_id)
    await fail_for_long(engine, tenant_id, await worker.next_start())
    if way == "rebuilt":
        before = engine.ownership.owners[tenant_id].machine
        engine.ownership.invalidate_all()
        await until(lambda: _is_renewed(engine, tenant_id, before))
    (second,) = await trigger(engine, tenant_id)
    running = await worker.next_start()
    assert running.task_id == second
    assert await status_of(engine, tenant_id, first) is Status.CANCELLED
    await worker.complete(running)
    assert await status_of(engine, tenant_id, second) is Status.COMPLETED
    await until(lambda: engine.ownership.owners[tenant_id].machine.groups.group_count() == 0)


def _is_renewed(engine: HatchetEngine, tenant_id: UUID, before: object) -> bool:
    owner = engine.ownership.owners.get(tenant_id)
    return owner is not None and owner.machine is not before and owner.is_ready


async def test_an_owner_learns_of_back_offs_that_another_engine_began(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as second_engine:
        owning, other = await settled(tenant_id, engine, second_engine)
        await owning.put_workflow(tenant_id, limited(IN_PROGRESS, retries=3))
        worker = await FakeWorker.connect(owning, tenant_id)
        (first,) = await trigger(owning, tenant_id)
        await fail_for_long(other, tenant_id, await worker.next_start())
        machine = owning.ownership.owners[tenant_id].machine
        await until(lambda: machine.knows(first, 1, is_resting=True))
        await trigger(owning, tenant_id)
        assert await status_of(owning, tenant_id, first) is Status.CANCELLED


async def test_an_auditor_leaves_those_alone_who_rest(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(IN_PROGRESS, retries=3))
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await trigger(engine, tenant_id)
    await fail_for_long(engine, tenant_id, await worker.next_start())
    for _ in range(2):
        await engine.auditor.tick()
    assert engine.ownership.owners[tenant_id].machine.knows(first, 1, is_resting=True)
    await engine.cancel(tenant_id, [first])
    assert engine.ownership.owners[tenant_id].machine.groups.group_count() == 0
