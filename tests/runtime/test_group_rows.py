"""Who waits in concurrency groups is read some rows at a time, while all else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from tests.runtime.harness import FakeWorker, unheard, until, workflow
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
    engine.ownership.invalidate_all()
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
    read = group_rows.GroupRows._read_all

    async def held_up(self: group_rows.GroupRows) -> list[UUID]:
        await gate.wait()
        return await read(self)

    monkeypatch.setattr(group_rows.GroupRows, "_read_all", held_up)
    owner = engine.ownership.owners[tenant_id]
    engine.ownership.invalidate_all()
    await until(lambda: owner.is_ready)
    (waiting,) = await trigger(engine, tenant_id)
    (plain,) = await engine.trigger_runs(tenant_id, [TriggerRequest("plain")])
    assert (await worker.next_start()).task_id == plain
    gate.set()
    assert (await worker.next_start()).task_id == waiting


async def test_a_poll_reads_only_who_was_queued_of_late_and_is_unknown(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, limited())
    owner = engine.ownership.owners[tenant_id]
    await until(lambda: owner.is_ready and owner.machine.groups.has_room(Claims((), 1, 1)))
    (known,) = await trigger(engine, tenant_id)
    requests = [TriggerRequest("work", input=b'{"key":"k"}')]
    (unknown,) = await unheard(engine, trigger_runs(tenant_id, requests, datetime.now(UTC)))
    places: list[QueuePlace] = []
    asked: set[UUID] = set()
    loaded: set[UUID] = set()

    def load(
        knows: Callable[[UUID, int, bool], bool], tenant: UUID, after: QueuePlace, limit: int
    ) -> Operation[Loaded]:
        def ask(task_id: UUID, retry_count: int, is_resting: bool) -> bool:
            asked.add(task_id)
            return knows(task_id, retry_count, is_resting)

        is_ours = tenant == tenant_id
        tasks, place = yield from rebuild_scheduler.load_unknown_in_groups(
            ask if is_ours else knows, tenant, after, limit
        )
        if is_ours:
            places.append(after)
            loaded.update(task.id for task in tasks)
        return tasks, place

    monkeypatch.setattr(group_rows, "load_unknown_in_groups", load)
    owner.note_backlog()
    await owner.refill()
    await until(lambda: len(owner.machine.groups.attempts()) == 2)
    assert min(places) > FIRST_PLACE
    assert asked == {known, unknown}
    assert loaded == {unknown}
    worker = await FakeWorker.connect(engine, tenant_id)
    for run_id in (known, unknown):
        action = await worker.next_start()
        assert action.task_id == run_id
        await worker.complete(action)


async def test_what_is_asked_for_during_a_poll_is_read_after_it(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, limited())
    owner = engine.ownership.owners[tenant_id]
    await until(lambda: owner.is_ready and owner.machine.groups.has_room(Claims((), 1, 1)))
    begun, gate = asyncio.Event(), asyncio.Event()
    read = group_rows.GroupRows._read_new

    async def held_up(self: group_rows.GroupRows) -> list[UUID]:
        found = await read(self)
        begun.set()
        await gate.wait()
        return found

    monkeypatch.setattr(group_rows.GroupRows, "_read_new", held_up)
    owner.note_backlog()
    await owner.refill()
    await begun.wait()
    requests = [TriggerRequest("work", input=b'{"key":"k"}')]
    (unknown,) = await unheard(engine, trigger_runs(tenant_id, requests, datetime.now(UTC)))
    owner.note_backlog()
    await owner.refill()
    gate.set()
    worker = await FakeWorker.connect(engine, tenant_id)
    assert (await worker.next_start()).task_id == unknown
