"""Who waits in concurrency groups is read some rows at a time, while all else goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine.domain.assignment import Claims, ReadyTask
from engine.operations import rebuild_scheduler
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler import group_rows
from engine.store.query import Operation
from engine.store.queues import FIRST_PLACE, QueuePlace
from engine.types import TriggerRequest
from tests.runtime.harness import FakeWorker, until, workflow
from tests.runtime.test_concurrency import limited, trigger

Loaded = tuple[list[ReadyTask], "QueuePlace | None"]


class Reading:
    """Notes from where rows are read."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.places: list[QueuePlace] = []

    def passes(self) -> list[list[QueuePlace]]:
        """The places of each reading from the first row on."""
        found: list[list[QueuePlace]] = []
        for place in self.places:
            if place == FIRST_PLACE:
                found.append([])
            found[-1].append(place)
        return found

    def load(self, tenant_id: UUID, after: QueuePlace, limit: int) -> Operation[Loaded]:
        if tenant_id == self.tenant_id:
            self.places.append(after)
        return (yield from rebuild_scheduler.load_in_groups(tenant_id, after, limit))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch, tenant_id: UUID) -> Reading:
    watched = Reading(tenant_id)
    monkeypatch.setattr(group_rows, "load_in_groups", watched.load)
    monkeypatch.setattr(group_rows, "ROWS_AT_ONCE", 3)
    return watched


async def test_a_new_memory_reads_all_who_wait_in_parts_and_then_goes_on_in_order(
    engine: HatchetEngine, tenant_id: UUID, reading: Reading
) -> None:
    await engine.put_workflow(tenant_id, limited())
    runs = await trigger(engine, tenant_id, count=10)
    owner = engine.ownership.owners[tenant_id]
    reading.places.clear()
    engine.ownership.distrust()
    await until(lambda: any(len(parts) == 4 for parts in reading.passes()))
    await until(lambda: owner.is_ready and len(owner.machine.groups.attempts()) == 10)
    for parts in reading.passes():
        assert parts == sorted(set(parts))
    worker = await FakeWorker.connect(engine, tenant_id)
    for run_id in runs:
        action = await worker.next_start()
        assert action.task_id == run_id
        await worker.complete(action)


async def test_plain_tasks_go_on_while_those_in_groups_are_read(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, limited())
    await engine.put_workflow(tenant_id, workflow("plain"))
    worker = await FakeWorker.connect(engine, tenant_id, "work:run", "plain:run")
    gate = asyncio.Event()
    read = group_rows.GroupRows._read

    async def held_up(self: group_rows.GroupRows, since: datetime | None) -> list[UUID]:
        await gate.wait()
        return await read(self, since)

    monkeypatch.setattr(group_rows.GroupRows, "_read", held_up)
    owner = engine.ownership.owners[tenant_id]
    engine.ownership.distrust()
    await until(lambda: owner.is_ready)
    (waiting,) = await trigger(engine, tenant_id)
    (plain,) = await engine.trigger_runs(tenant_id, [TriggerRequest("plain")])
    assert (await worker.next_start()).task_id == plain
    gate.set()
    assert (await worker.next_start()).task_id == waiting


async def test_a_poll_reads_only_who_was_queued_of_late(
    engine: HatchetEngine, tenant_id: UUID, reading: Reading
) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    requests = [TriggerRequest("work", input=b'{"key":"k"}')]
    (unknown,), _ = await engine.database.run(trigger_runs(tenant_id, requests, datetime.now(UTC)))
    owner = engine.ownership.owners[tenant_id]
    await until(lambda: owner.is_ready and owner.machine.groups.has_room(Claims((), 1, 1)))
    reading.places.clear()
    async with asyncio.timeout(20):
        while not reading.places:
            owner.note_backlog()
            await owner.refill()
            await asyncio.sleep(0.01)
    assert reading.places[0] > FIRST_PLACE
    assert (await worker.next_start()).task_id == unknown
