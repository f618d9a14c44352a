"""Workers that send heartbeats and do not acknowledge what they are sent, or only late."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from engine.runtime.controllers.lost_workers import LostWorkers
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler.owner import TenantOwner
from engine.types import Action, ActionKind, ReportKind, TaskReport
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, engine_on, settled, trigger, workflow

LONG_SECONDS, SHORT_SECONDS = 3_600, 10
_AGE = """
WITH moved AS (
    UPDATE engine_task SET assigned_at = assigned_at - make_interval(secs => %(seconds)s)
     WHERE id = %(task_id)s RETURNING run_id, worker_id
), streams AS (
    UPDATE engine_worker w
       SET last_listener_at = last_listener_at - make_interval(secs => 2 * %(seconds)s)
      FROM moved m WHERE w.id = m.worker_id
)
UPDATE engine_taskevent e SET at = at - make_interval(secs => %(seconds)s)
  FROM moved m WHERE e.run_id = m.run_id AND e.kind IN (2, 3)
"""


class Bench:
    """The deliveries of one tenant, looked at when asked, of attempts as old as is wanted."""

    def __init__(self, conninfo: str, engine: HatchetEngine, owner: TenantOwner) -> None:
        self._conninfo, self.engine, self.owner = conninfo, engine, owner
        owner.reports_until = 0.0
        owners = {owner.tenant_id: owner}
        self._deliveries = LostWorkers(engine.database, engine.effects, owners)

    async def look(self) -> None:
        for task_id, (retry_count, _) in self.owner.unacknowledged.items():
            self.owner.unacknowledged[task_id] = (retry_count, 0.0)
        await self._deliveries.tick()

    async def look_after(self, seconds: float, action: Action) -> None:
        """Look as if the attempt had been sent so long ago."""
        while await self.engine.notes.tick():
            pass
        async with await psycopg.AsyncConnection.connect(self._conninfo) as connection:
            await connection.execute(_AGE, {"seconds": seconds, "task_id": action.task_id})
        await self.look()

    def is_stalled(self, worker: FakeWorker) -> bool:
        return worker.id in self.owner.machine.workers.stalled()

    def runs_on(self, worker: FakeWorker) -> list[tuple[UUID, int]]:
        return self.owner.machine.workers.running_on(worker.id)


@pytest.fixture
async def bench(conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder) -> Bench:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    owner = engine.ownership.owners[tenant_id]
    await engine.put_workflow(tenant_id, workflow())
    return Bench(conninfo, engine, owner)


async def swallow(engine: HatchetEngine, tenant_id: UUID) -> tuple[FakeWorker, Action]:
    """A worker that was sent a task, and says nothing."""
    worker = await FakeWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id)
    action = await worker.next_start()
    worker.session.mark_sent(action)
    return worker, action


async def test_what_a_worker_swallows_is_given_to_another(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    deaf, action = await swallow(engine, tenant_id)
    healthy = await FakeWorker.connect(engine, tenant_id)
    await bench.look_after(SHORT_SECONDS, action)
    again = await healthy.next_start()
    assert (again.task_id, again.retry_count) == (action.task_id, 1)
    await healthy.report(again, ReportKind.STARTED)
    assert bench.is_stalled(deaf)
    assert not bench.is_stalled(healthy)
    assert (await deaf.next()).kind is ActionKind.CANCEL
    await deaf.beat()
    await trigger(engine, tenant_id, 3)
    for _ in range(3):
        await healthy.next_start()
    assert bench.runs_on(deaf) == []


async def test_a_slow_worker_that_is_alone_gets_done_what_it_was_sent(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    slow, action = await swallow(engine, tenant_id)
    await bench.look_after(SHORT_SECONDS, action)
    assert bench.is_stalled(slow)
    assert bench.runs_on(slow) == [(action.task_id, 0)]
    await slow.report(action, ReportKind.STARTED)
    await slow.complete(action)
    await bench.look()
    assert not bench.is_stalled(slow)
    await trigger(engine, tenant_id)
    assert (await slow.next_start()).task_id != action.task_id


async def test_what_nobody_takes_waits_in_the_queue_until_its_worker_is_heard(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    slow, action = await swallow(engine, tenant_id)
    await bench.look_after(LONG_SECONDS, action)
    assert bench.is_stalled(slow)
    assert bench.runs_on(slow) == []
    assert (await slow.next()).kind is ActionKind.CANCEL
    await slow.beat()
    await slow.report(action, ReportKind.STARTED)
    await bench.look()
    assert not bench.is_stalled(slow)
    again = await slow.next_start()
    assert (again.task_id, again.retry_count) == (action.task_id, 1)


async def test_what_was_taken_back_before_gets_more_time(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    first, action = await swallow(engine, tenant_id)
    second = await FakeWorker.connect(engine, tenant_id)
    await bench.look_after(SHORT_SECONDS, action)
    again = await second.next_start()
    second.session.mark_sent(again)
    third = await FakeWorker.connect(engine, tenant_id)
    await bench.look_after(SHORT_SECONDS - 1, again)
    assert bench.is_stalled(second)
    assert bench.runs_on(second) == [(action.task_id, 1)]
    await bench.look_after(SHORT_SECONDS, again)
    assert (await third.next_start()).retry_count == 2
    assert bench.is_stalled(first)


async def test_a_new_stream_may_take_what_the_one_before_did_not(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    deaf, action = await swallow(engine, tenant_id)
    await bench.look_after(SHORT_SECONDS, action)
    assert bench.is_stalled(deaf)
    newer = await FakeWorker.connect(engine, tenant_id, worker_id=deaf.id)
    assert not bench.is_stalled(newer)
    (run_id,) = await trigger(engine, tenant_id)
    assert (await newer.next_start()).run_id == run_id


async def test_who_acknowledges_and_starts_later_is_not_stalled(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await swallow(engine, tenant_id)
    await FakeWorker.connect(engine, tenant_id)
    await worker.report(action, ReportKind.ACKNOWLEDGED)
    await worker.report(action, ReportKind.ACKNOWLEDGED)
    await bench.look_after(LONG_SECONDS, action)
    assert not bench.is_stalled(worker)
    assert bench.runs_on(worker) == [(action.task_id, 0)]
    await worker.complete(action)


async def test_who_acknowledges_what_came_later_lost_one_task_and_is_not_stalled(
    bench: Bench, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await swallow(engine, tenant_id)
    other = await FakeWorker.connect(engine, tenant_id, slots=1)
    await trigger(engine, tenant_id)
    later = await worker.next_start()
    await worker.report(later, ReportKind.STARTED)
    await worker.complete(later)
    await bench.look_after(SHORT_SECONDS, action)
    assert not bench.is_stalled(worker)
    assert bench.runs_on(worker) == [(action.task_id, 0)]
    await bench.look_after(LONG_SECONDS, action)
    assert not bench.is_stalled(worker)
    assert bench.runs_on(worker) != [(action.task_id, 0)]
    assert not bench.is_stalled(other)


async def test_a_worker_is_heard_at_whatever_engine_it_speaks(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as second:
        holder, bystander = await settled(tenant_id, engine, second)
        await holder.put_workflow(tenant_id, workflow())
        bench = Bench(conninfo, holder, holder.ownership.owners[tenant_id])
        slow, action = await swallow(holder, tenant_id)
        await bench.look_after(SHORT_SECONDS, action)
        assert bench.is_stalled(slow)
        for kind in (ReportKind.STARTED, ReportKind.COMPLETED):
            await bystander.report(
                TaskReport(tenant_id, action.task_id, kind, action.retry_count, b"{}")
            )
        await bench.look()
        assert not bench.is_stalled(slow)
